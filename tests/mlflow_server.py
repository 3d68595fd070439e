"""A real MLflow server on a database of its own, which can be killed and started again."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


class Server:
    """It listens on a free port of loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folder.mkdir()
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/m.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "files")]
        quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "log").open("w") as log:  # with telemetry on and no network, the server never comes up
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=quiet, stdout=log, stderr=log, start_new_session=True
            )

    def ready(self) -> "Server":
        _await(self.uri, self.folder / "log")
        return self

    def end(self, number: int = signal.SIGTERM) -> None:
        os.killpg(self.process.pid, number)
        self.process.wait(30)

    def run_states(self) -> list[str]:
        """How its runs ended, out of its database."""
        with contextlib.closing(sqlite3.connect(self.folder / "m.db")) as database:
            return sorted(state for (state,) in database.execute("select status from runs"))


def _await(uri: str, log: Path) -> None:
    for _ in range(360):
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"no server at {uri}: {log.read_text()[-2000:]}")
