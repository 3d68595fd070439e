"""The addresses of the servers of ``synthgap up``, and checks of addresses and ports before anything is started."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flows.operations.environment import LOOPBACK
from tasks.errors import UserError


@dataclass(frozen=True)
class Address:
    """Host and ports of the servers."""

    host: str = "127.0.0.1"
    prefect_port: int = 4200
    mlflow_port: int = 5000

    @property
    def local(self) -> str:
        """The host for URLs that are used on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host

    @property
    def prefect(self) -> str:
        """URL of Prefect's pages."""
        return f"http://{self.local}:{self.prefect_port}"

    @property
    def mlflow(self) -> str:
        """URL of MLflow's pages."""
        return f"http://{self.local}:{self.mlflow_port}"

    @property
    def beyond_this_machine(self) -> bool:
        """Whether other machines can reach the servers, over a network that may be insecure."""
        return self.host not in LOOPBACK


def check_logins(environment: Mapping[str, str]) -> None:
    """Raises ``UserError`` if an address contains a login, which the state file and ``status`` would show."""
    for name, instead in {
        "SYNTHGAP_TRACKING_URI": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        "PREFECT_API_URL": "PREFECT_API_AUTH_STRING",
    }.items():
        address = urlsplit(environment.get(name, ""))
        if address.scheme.startswith("http") and "@" in address.netloc:
            raise UserError(
                f"{name} contains a user name or password, which `synthgap status` would show; "
                f"remove it from the address and set {instead}"
            )


def check_port(host: str, port: int, option: str) -> None:
    """Raises ``UserError`` if another program uses the port, or this user may not listen on it."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise UserError(
            f"cannot listen on port {port} of {host} ({error.strerror}); end the program that uses it, "
            f"or choose another port with {option}"
        ) from None
