"""How the CRM and the store are reached: what leaves this machine unencrypted is named. Changes nothing."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from lifecycle.deployment.lifecycle import Lifecycle

_HERE = ("", "localhost", "::1")


def unencrypted_transports(lifecycle: Lifecycle) -> Iterator[str]:
    """A sentence for each of the two that is on another machine and is spoken to in the clear."""
    host = lifecycle.crm.database.host
    if is_remote(host) and not lifecycle.crm.database.encrypted():
        yield (
            f"LIFECYCLE_CRM_URL: {host} is another machine, and the connection is not encrypted: calls, and the "
            "password, can be read on the way. docs/operations.md says how to ask for TLS"
        )
    endpoint = urlsplit(lifecycle.settings.s3_endpoint or "")
    if endpoint.scheme == "http" and is_remote(endpoint.hostname):
        yield (
            f"LIFECYCLE_S3_ENDPOINT: {endpoint.hostname} is another machine, and http is not encrypted: calls can be "
            "read on the way. Use https"
        )


def is_remote(host: str | None) -> bool:
    """Whether a host is another machine: not this one by name or loopback address, and not a socket."""
    name = (host or "").strip("[]")
    return name not in _HERE and not name.startswith(("127.", "/"))
