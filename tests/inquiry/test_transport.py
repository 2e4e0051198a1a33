"""What leaves the machine unencrypted is named; a password never leaves in a message."""

import traceback

import pytest

from lifecycle.crm.database import open_database
from lifecycle.errors import SettingsError
from lifecycle.inquiry import transport
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.transport import is_remote, unencrypted_transports


@pytest.mark.parametrize("host", [None, "", "localhost", "127.0.0.1", "127.1", "::1", "[::1]", "/var/run/postgresql"])
def test_this_machine_is_not_remote(host):
    assert not is_remote(host)


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.7", "localhost.example.com", "2001:db8::1"])
def test_another_is(host):
    assert is_remote(host)


def test_a_remote_database_without_tls_is_named_and_a_local_one_is_not(served_world, monkeypatch):
    lifecycle = served_world.lifecycle()
    assert (lifecycle.crm.database.encrypted(), list(unencrypted_transports(lifecycle))) == (False, [])
    monkeypatch.setattr(transport, "is_remote", lambda host: host is not None)
    (said,) = unencrypted_transports(lifecycle)
    assert said.startswith("LIFECYCLE_CRM_URL: 127.0.0.1 is another machine, and the connection is not encrypted")
    assert said in [finding.message for finding in check_everything(lifecycle) if finding.severity == "warning"]


def test_a_remote_store_over_http_is_named(sqlite_world):
    lifecycle = sqlite_world.lifecycle()
    object.__setattr__(
        lifecycle, "settings", lifecycle.settings.model_copy(update={"s3_endpoint": "http://s3.example"})
    )
    (said,) = unencrypted_transports(lifecycle)
    assert said.startswith("LIFECYCLE_S3_ENDPOINT: s3.example is another machine, and http is not encrypted")


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+pymysql"])
@pytest.mark.parametrize("password", ["first@second", "hunter@", "@hunter", "first@second@third"])
def test_a_password_with_an_at_sign_is_refused_and_not_shown(scheme, password):
    """It was taken for a part of the host, which every error of the driver names."""
    with pytest.raises(SettingsError, match="expected one @, between password and host") as error:
        open_database(f"{scheme}://user:{password}@db.example.com/crm")
    shown = "".join(traceback.format_exception(error.value))
    assert not any(part in shown for part in password.split("@") if part)


def test_a_name_with_an_at_sign_and_an_escaped_password_are_taken():
    found = open_database("postgresql+psycopg://user%40tenant:p%40ss@db.example.com/crm")
    assert (found.host, found.engine.url.password) == ("db.example.com", "p@ss")
