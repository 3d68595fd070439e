"""Ports and addresses that ``synthgap up`` takes and refuses."""

import socket

import pytest

from flows.operations.addresses import Address, check_logins, check_port
from tasks.errors import UserError


def test_a_port_in_use_is_one_message_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} .*--prefect-port"):
            check_port("127.0.0.1", port, "--prefect-port")
    check_port("127.0.0.1", port, "--prefect-port")


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]"), ("box", "box")],
)
def test_an_address_is_one_that_this_machine_can_open(host: str, local: str) -> None:
    assert Address(host).local == local


@pytest.mark.parametrize(("host", "beyond"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("box", True)])
def test_others_reach_what_listens_beyond_loopback(host: str, beyond: bool) -> None:
    assert Address(host).beyond_this_machine is beyond


@pytest.mark.parametrize(
    ("name", "instead"),
    [("SYNTHGAP_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD"), ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")],
)
def test_a_login_in_an_address_is_refused_and_not_repeated(name: str, instead: str) -> None:
    with pytest.raises(UserError, match=instead) as caught:
        check_logins({name: "https://someone:hunter2@host/api"})
    assert "hunter2" not in str(caught.value)
    check_logins({name: "https://host/api", "SYNTHGAP_STORE": "s3://a@b"})
    check_logins({"SYNTHGAP_TRACKING_URI": "postgresql://me:pw@db/mlflow"})  # a database has no other way
