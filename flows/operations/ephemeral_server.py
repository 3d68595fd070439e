"""A Prefect server for a single run, if none is configured. Only that run can use it.

Prefect can start such a server itself, but it would import its whole server into the run's process, and the server
would continue to run if that process is killed. This server always ends with the run's process, even if that is killed.
"""

import atexit
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flows.operations.environment import PREFECT_NEEDS, python_path, without_secrets
from flows.operations.login import USER, Login
from flows.operations.process import ServerProcess, answers
from tasks import databases
from tasks.errors import RunError
from tasks.progress import LOGGER
from tasks.startup import importing

CHECK_S = 1.0
"""Seconds between two checks whether the server still runs."""
PRIVATE = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""The settings of Prefect's own ephemeral server, which is not opened in a browser."""
NO_BLOCKS = {"PREFECT_API_BLOCKS_REGISTER_ON_START": "false", "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false"}
"""The server does not register block types, which are only for Prefect's pages; the server of an ``up`` does."""
SQLITE = "sqlite+aiosqlite:///"


class EphemeralServer:
    """A Prefect server on a free port of loopback. It has a password, because all users of the machine can reach it."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api"
        self.login = Login(USER, secrets.token_urlsafe(32))
        self._stopping = threading.Event()
        environment = {
            **without_secrets(os.environ, PREFECT_NEEDS),
            **PRIVATE,
            **NO_BLOCKS,
            "PYTHONPATH": python_path(),
            "PREFECT_SERVER_API_AUTH_STRING": self.login.text,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": self.url.removesuffix("/api"),
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        }
        command = ["flows.operations.ephemeral_server", str(port)]
        self.process = ServerProcess("Prefect's server", command, environment, log, log.parent, stdin=subprocess.PIPE)

    def wait(self) -> None:
        """Wait until the server answers. Raises ``RunError`` if it does not."""
        self.process.wait(partial(answers, f"{self.url}/health"))

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within the block, Prefect's clients use this server with its password."""
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: self.url, PREFECT_API_AUTH_STRING: self.login.text}):
            yield

    def keep(self) -> None:
        """Restart the server if it ends before ``stop``; Prefect's clients repeat their calls until it answers."""
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        while not self._stopping.wait(CHECK_S):
            try:
                if self.process.needs_restart():
                    LOGGER.warning("Prefect's server ended; it is started again (its log is %s)", self.process.log)
                    self.process.restart()
            except RunError as error:
                LOGGER.warning("%s", error)
                return

    def stop(self) -> None:
        """End the server."""
        self._stopping.set()
        self.process.stop()


@contextmanager
def prefect_server(log: Path) -> Iterator[EphemeralServer | None]:
    """A server until this process ends, which may still be starting; null if Prefect has a server configured."""
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        yield None
        return
    server = EphemeralServer(log)
    atexit.register(server.stop)  # not earlier: Prefect sends its last logs when the interpreter exits
    with server.used():
        yield server


def _begun() -> bool:
    """Create the server's database if it is a file that does not exist; returns whether it needs no migration."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    kind, _, file = str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition(SQLITE)
    return not kind and Path(file).is_absolute() and "?" not in file and databases.begin("prefect", Path(file))


def _serve(port: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from prefect.settings import PREFECT_API_DATABASE_MIGRATE_ON_START, temporary_settings

    with temporary_settings({PREFECT_API_DATABASE_MIGRATE_ON_START: False} if _begun() else {}):
        with importing():
            import uvicorn
            from prefect.server.api.server import create_app

            app = create_app()
        uvicorn.run(app, port=port, log_level="error")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
