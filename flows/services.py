"""The servers and the worker of ``synthgap up``: their commands, their environment, and why one did not start.

All secrets stay in the environment, which the processes inherit; no command line or file of ours holds one.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flows.state import TOKEN, answers
from tasks.errors import RunError, UserError
from tasks.records import content_key
from tasks.settings import Settings

START_S = 240.0
"""Seconds that a server may take to answer; 20 on an idle machine."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLIENT_MAX_RETRIES": "6",  # two minutes, doubling from two seconds: a server is back sooner
    "PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "synthgap",  # stage logs show in the user interface
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Address:
    """Where the servers listen."""

    host: str = "127.0.0.1"
    prefect_port: int = 4200
    mlflow_port: int = 5000

    @property
    def local(self) -> str:
        """The host as an address on this machine names it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host


def check_address(address: Address, environment: Mapping[str, str]) -> None:
    """Raises ``UserError`` where servers would be open to a network without a password."""
    if address.host in LOOPBACK:
        return
    if not environment.get("PREFECT_SERVER_API_AUTH_STRING"):
        raise UserError(
            f"--host {address.host} opens Prefect to the network: set PREFECT_SERVER_API_AUTH_STRING=user:password "
            "here and PREFECT_API_AUTH_STRING for its clients, or leave out --host"
        )
    if not environment.get("SYNTHGAP_TRACKING_URI", "").startswith("http"):
        raise UserError(
            f"--host {address.host} would open MLflow to the network, and the one started here asks for no password: "
            "run MLflow behind a proxy that does and set SYNTHGAP_TRACKING_URI to it, or leave out --host and use "
            "an SSH tunnel"
        )


def check_logins(environment: Mapping[str, str]) -> None:
    """Raises ``UserError`` where an address holds a login, which the state file and `status` would show."""
    for name, instead in {
        "SYNTHGAP_TRACKING_URI": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        "PREFECT_API_URL": "PREFECT_API_AUTH_STRING",
    }.items():
        address = urlsplit(environment.get(name, ""))
        if address.scheme.startswith("http") and "@" in address.netloc:
            raise UserError(f"{name} holds a login, which others would see; leave it out and set {instead}")


def check_port(host: str, port: int, option: str) -> None:
    """Raises ``UserError`` when something listens there already, or nobody may."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise UserError(
            f"port {port} of {host} cannot be used ({error.strerror}); end the program that has it, "
            f"or choose another port with {option}"
        ) from None


class Process:
    """A service as a child of ours, in a session of its own: Ctrl-C is for us, who end it last."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], settings: Settings) -> None:
        self.name, self.command, self.environment = name, list(command), dict(environment)
        self.log = settings.home / "logs" / f"{name}.log"
        self.folder = settings.home
        self.start()

    def start(self) -> None:
        """Start it."""
        self.log.parent.mkdir(exist_ok=True)
        self._launch("w")

    def start_again(self) -> None:
        """Start it where it has ended; what it left behind is ended, which may still have its port. The log goes on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._launch("a")

    def _launch(self, mode: str) -> None:
        with self.log.open(mode) as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """It is not running."""
        return self.process.poll() is not None

    def wait(self, address: str) -> None:
        """Return when ``address`` answers. Raises ``RunError`` when the process ends before, or takes too long."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and not self.ended:
            if answers(address):
                return
            time.sleep(0.2)
        raise RunError(f"{self.name} did not start: {self.complaint()} Its log is {str(self.log)!r}")

    def complaint(self) -> str:
        """The last line of the log that speaks of an error."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        if "Can't locate revision" in text:
            return "a newer version wrote its database; install that version, or move the database away."
        lines = [line.strip() for line in text.splitlines() if "rror" in line]
        return lines[-1][:300] + "." if lines else f"no answer in {START_S:.0f} s."


def prefect_server(address: Address, environment: Mapping[str, str], settings: Settings) -> Process:
    """Prefect's server with a database of its own under the home folder."""
    home = settings.home / "prefect"
    home.mkdir(exist_ok=True)
    ours = {
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        **environment,  # which may name a database; the newer name of that setting goes before this one
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # SQLite's lock is waited for: a busy machine shall lose no event
        "PREFECT_SERVER_UI_API_URL": f"http://{address.local}:{address.prefect_port}/api",
    }
    ours.pop("PREFECT_API_URL", None)  # a server is no client
    place = ["--host", address.host, "--port", str(address.prefect_port)]
    return Process("prefect", ["prefect", "server", "start", "--analytics-off", *place], ours, settings)


def mlflow_server(address: Address, environment: Mapping[str, str], settings: Settings) -> Process:
    """MLflow's server on the database and the files that runs without a server use, so that both are one history."""
    stores = {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,  # not on the command line: it may hold a password
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.artifacts_uri,
    }
    place = ["--host", address.host, "--port", str(address.mlflow_port), "--workers", "1"]  # SQLite has one writer
    return Process("mlflow", ["mlflow", "server", *place], {**environment, **stores}, settings)


def upgrade_mlflow(failed: Process, settings: Settings) -> bool:
    """Bring an older SQLite database up to date, keeping a copy; false where that is not what failed.

    Raises ``RunError`` when it cannot be upgraded, and for another database, of which we can make no copy.
    """
    if "out-of-date database schema" not in failed.log.read_text(encoding="utf-8", errors="replace"):
        return False
    scheme, _, path = settings.mlflow_uri.partition(":///")
    if scheme != "sqlite":
        raise RunError("MLflow's database is an older one; back it up, run `mlflow db upgrade`, then this again")
    file = Path(path)
    shutil.copy2(file, file.with_suffix(".db.before-upgrade"))
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", settings.mlflow_uri]
    done = subprocess.run(command, env=failed.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"MLflow's database {path!r} could not be upgraded: {done.stderr.strip()[-300:]}")
    return True


def worker(pool: str, environment: Mapping[str, str], settings: Settings) -> Process:
    """A worker that runs each study in a process of its own."""
    command = ["prefect", "worker", "start", "--pool", pool, "--type", "process", "--install-policy", "never"]
    return Process("worker", [*command, "--name", worker_name(settings)], environment, settings)


def worker_name(settings: Settings) -> str:
    """The same for every start here, another one for every other machine and home folder."""
    return f"synthgap@{socket.gethostname()}-{content_key(str(settings.home.absolute()))[:6]}"


def environment_of(token: str, settings: Settings) -> dict[str, str]:
    """The environment that all services get: ours, their silence, the home folder, and the mark."""
    home = {"SYNTHGAP_HOME": str(settings.home.absolute())}
    return {**os.environ, **QUIET, **home, TOKEN: token, "PYTHONPATH": python_path()}


def python_path() -> str:
    """The services start in another folder: a checkout that is on the path, and not installed, stays importable."""
    root = str(Path(__file__).parent.parent)
    return os.pathsep.join(dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
