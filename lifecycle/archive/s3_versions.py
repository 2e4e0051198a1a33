"""Every version that a bucket keeps below a prefix, and every marker that hides one."""

from typing import Any

from lifecycle.archive.object_store import StoredVersion
from lifecycle.archive.s3_answers import version_of


def object_versions(client: Any, bucket: str, under: str, prefix: str) -> list[StoredVersion]:
    """Versions and delete markers by key, keys relative to `under`. Raises what boto3 raises."""
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=under + prefix)
    found = [
        StoredVersion(item["Key"].removeprefix(under), version_of(item), kind == "DeleteMarkers")
        for page in pages
        for kind in ("Versions", "DeleteMarkers")
        for item in page.get(kind, [])
    ]
    return sorted(found, key=lambda version: version.key)
