"""A Prefect server for the length of one run, where none is configured. It takes orders from that run only.

Prefect would start one itself, but only after importing its whole server into the asking process too, and would leave
it running when that process is killed. This one ends with its parent, however that ends.
"""

import atexit
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.operations.environment import PREFECT_NEEDS, without_secrets
from flows.operations.login import USER, Login
from tasks.errors import RunError
from tasks.progress import LOGGER

START_S = 240.0
"""Seconds that a server may take to answer; 10 on an idle machine."""
PRIVATE = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""What Prefect sets for a server of its own that nobody visits."""
LOOK_S, RESTARTS = 1.0, 3
"""Seconds between two looks at a server that runs, and how often one that ended is started again."""


class Server:
    """A server process on a free port of loopback, which any user and any page might find: it has a password."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.login = Login(USER, secrets.token_urlsafe(32))
        self.log = log
        log.unlink(missing_ok=True)
        self.ending = threading.Event()
        self._start()

    def _start(self) -> None:
        with self.log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.operations.ephemeral_server", str(self.port)],
                stdin=subprocess.PIPE,  # its end tells the server that we are gone
                stdout=output,
                stderr=output,
                env={**without_secrets(os.environ, PREFECT_NEEDS), **PRIVATE, **self._closed()},
                cwd=Path(__file__).parents[2],
                start_new_session=True,  # Ctrl-C is for us: the server stops last
            )

    def _closed(self) -> dict[str, str]:
        return {
            "PREFECT_SERVER_API_AUTH_STRING": self.login.text,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": self.url.removesuffix("/api"),
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        }

    @contextmanager
    def used(self) -> Iterator[None]:
        """Prefect talks to this server, logged in."""
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: self.url, PREFECT_API_AUTH_STRING: self.login.text}):
            yield

    def keep(self) -> None:
        """Start it again when it ends before its time: the flow's calls are repeated until it answers again."""
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        restarts = 0
        while not self.ending.wait(LOOK_S) and restarts < RESTARTS:
            if self.process.poll() is not None:
                restarts += 1
                LOGGER.warning("Prefect's server ended; it is started again (its log is %s)", self.log)
                self._start()

    def wait(self) -> None:
        """Return when the server answers. Raises ``RunError`` when it does not."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.stop()
        raise RunError(f"Prefect's server did not start; its log is {str(self.log)!r}")

    def stop(self) -> None:
        """End the server."""
        self.ending.set()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


@contextmanager
def prefect_server(log: Path) -> Iterator[Server | None]:
    """Where Prefect has no server configured, one until this process ends; it may still be starting."""
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        yield None
        return
    server = Server(log)
    atexit.register(server.stop)  # not earlier: Prefect sends its last logs when the interpreter exits
    with server.used():
        yield server


def _serve(port: int) -> None:
    import uvicorn

    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvicorn.run("prefect.server.api.server:create_app", factory=True, port=port, log_level="error")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
