"""The servers and the worker of ``synthgap up``: their commands, their environment, and why one did not start.

All secrets stay in the environment, which the worker inherits and a server as far as it needs them; no command line
holds one, and no file but that of the login.
"""

import contextlib
import os
import re
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

from flows.operations import logs
from flows.operations.environment import LOOPBACK, PREFECT_NEEDS, TOKEN, past_proxies, prefect_home, without_secrets
from flows.operations.login import PAGE, Login
from flows.operations.state import answers
from tasks.errors import RunError, UserError
from tasks.records import content_key
from tasks.settings import Settings

START_S = 240.0
"""Seconds that a server may take to answer; 20 on an idle machine."""
MLFLOW_NEEDS = "PG|MYSQL|MLFLOW_CRYPTO"
"""Names of the secrets that MLflow's server may have: those of its database, and of what it encrypts there."""
FILES_NEED = {"s3": "AWS_|MLFLOW_S3_", "gs": "GOOGLE_", "wasbs": "AZURE_STORAGE_", "abfss": "AZURE_STORAGE_"}
"""And those of the place of its files, by the scheme of ``Settings.artifacts_uri``."""
ONLY_HOME = """<meta http-equiv="Content-Security-Policy" content="connect-src 'self'">"""
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

    @property
    def prefect(self) -> str:
        """Where Prefect's pages are."""
        return f"http://{self.local}:{self.prefect_port}"

    @property
    def mlflow(self) -> str:
        """Where MLflow's pages are."""
        return f"http://{self.local}:{self.mlflow_port}"

    @property
    def beyond_this_machine(self) -> bool:
        """Others can reach the servers, over a network that may listen."""
        return self.host not in LOOPBACK


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
        logs.put_aside(self.log)
        self._launch()

    def start_again(self) -> None:
        """Start it where it has ended; what it left behind is ended, which may still have its port. The log goes on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._launch()

    def _launch(self) -> None:
        with self.log.open("a") as output:  # at its end, wherever that is after the log was rotated
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


def prefect_server(address: Address, environment: Mapping[str, str], settings: Settings, login: Login) -> Process:
    """Prefect's server with a database of its own under the home folder. It takes orders with the login only."""
    home = prefect_home(settings)
    home.mkdir(exist_ok=True)
    ours = {
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address.prefect,  # no other page may read an answer
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # 90 days after they ended
        "PREFECT_SERVER_UI_API_URL": "/api",  # of whatever name a browser knows the server by
        **without_secrets(environment, PREFECT_NEEDS),  # which may say otherwise, and name a database
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_AUTH_STRING": login.text,
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # SQLite's lock is waited for: a busy machine shall lose no event
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(_pages(settings)),
    }
    ours.pop("PREFECT_API_URL", None)  # a server is no client
    place = ["--host", address.host, "--port", str(address.prefect_port)]
    return Process("prefect", ["prefect", "server", "start", "--analytics-off", *place], ours, settings)


def _pages(settings: Settings) -> Path:
    """Where Prefect's server puts its pages when it starts."""
    return prefect_home(settings) / "pages"


def prepare_pages(settings: Settings, environment: Mapping[str, str]) -> None:
    """Put the page of the login link beside Prefect's own, where the server has made them, and keep them to themselves.

    Prefect's pages hold the password and ask a service of statistics on the internet, whatever one sets: they may talk
    to their own server only, unless a user has named another.
    """
    pages = _pages(settings)
    if (pages / "v1").is_dir():
        shutil.copyfile(Path(__file__).with_name("login.html"), pages / "v1" / PAGE)
    if not any(environment.get(name) for name in ("PREFECT_SERVER_UI_API_URL", "PREFECT_UI_API_URL")):
        for index in pages.glob("v*/index.html"):
            text = index.read_text(encoding="utf-8")
            if ONLY_HOME not in text:
                index.write_text(text.replace("<head>", f"<head>{ONLY_HOME}", 1), encoding="utf-8")


def mlflow_server(address: Address, environment: Mapping[str, str], settings: Settings, login: Login) -> Process:
    """MLflow's server on the database and the files that runs without a server use, so that both are one history.

    It asks for the login. Its database of users is made anew at each start: a login that was changed is not valid there
    any more, whatever its name was.
    """
    users, config = settings.home.absolute() / "mlflow-login.db", settings.home / "mlflow-login.ini"
    users.unlink(missing_ok=True)
    config.write_text(
        "[mlflow]\n"
        f"database_uri = {f'sqlite:///{users}'.replace('%', '%%')}\n"
        "default_permission = NO_PERMISSIONS\n"
        "authorization_function = flows.operations.mlflow_login:authenticate\n"
        "auth_cache_ttl_seconds = 3600\n",  # checking a password takes a third of a second
        encoding="utf-8",
    )
    needed = "|".join(filter(None, [MLFLOW_NEEDS, FILES_NEED.get(settings.artifacts_uri.partition(":")[0])]))
    ours = {
        **without_secrets(environment, re.compile(needed)),
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,  # not on the command line: it may hold a password
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.artifacts_uri,
        "MLFLOW_AUTH_CONFIG_PATH": str(config.absolute()),
        "MLFLOW_AUTH_ADMIN_USERNAME": login.user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": login.password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": login.signing_key,
    }
    place = ["--host", address.host, "--port", str(address.mlflow_port), "--workers", "1"]  # SQLite has one writer
    return Process("mlflow", ["mlflow", "server", "--app-name", "basic-auth", *place], ours, settings)


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
    homes = {"SYNTHGAP_HOME": str(settings.home.absolute()), "PREFECT_HOME": str(prefect_home(settings))}
    return {
        **os.environ,
        **QUIET,
        **homes,
        **past_proxies(os.environ),
        TOKEN: token,
        "PYTHONPATH": python_path(),
    }


def python_path() -> str:
    """The services start in another folder: a checkout that is on the path, and not installed, stays importable."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join(dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
