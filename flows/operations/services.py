"""The three services of ``synthgap up``: Prefect's server, MLflow's server and the worker.

Each has a command, an environment and other requirements. Secrets are passed only in the environment, never on a
command line or in a file (except the login's file). The worker gets all secrets, a server only those that it needs.
"""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from flows.operations.addresses import Address
from flows.operations.environment import PREFECT_NEEDS, prefect_home, without_secrets
from flows.operations.login import PAGE, Login
from flows.operations.process import ServerProcess
from tasks.errors import RunError
from tasks.records import content_key
from tasks.settings import Settings

MLFLOW_NEEDS = "PG|MYSQL|MLFLOW_CRYPTO"
"""Matches the beginning of the names of the secrets that MLflow's server gets: its database's, its encryption key."""
FILES_NEED = {"s3": "AWS_|MLFLOW_S3_", "gs": "GOOGLE_", "wasbs": "AZURE_STORAGE_", "abfss": "AZURE_STORAGE_"}
"""The same for the place of MLflow's files, by the scheme of ``Settings.artifacts_uri``."""
SAME_ORIGIN = """<meta http-equiv="Content-Security-Policy" content="connect-src 'self'">"""
"""Prevents a page from sending requests to other servers than its own."""


def prefect_server(address: Address, environment: Mapping[str, str], settings: Settings, login: Login) -> ServerProcess:
    """Start Prefect's server with its own database in the home folder. Every request needs the login."""
    home = prefect_home(settings)
    home.mkdir(exist_ok=True)
    ours = {
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address.prefect,  # pages of other origins cannot read responses
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # 90 days after they ended
        "PREFECT_SERVER_UI_API_URL": "/api",  # relative, because a browser may use another host name
        **without_secrets(environment, PREFECT_NEEDS),  # a user's values replace those above
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_AUTH_STRING": login.text,
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # seconds to wait for SQLite's lock, so that no event is lost
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "pages"),
    }
    ours.pop("PREFECT_API_URL", None)  # it would make the server a client of another one
    place = ["--host", address.host, "--port", str(address.prefect_port)]
    command = ["prefect", "server", "start", "--analytics-off", *place]
    return _start("prefect", "Prefect's server", command, ours, settings)


def prepare_pages(settings: Settings, environment: Mapping[str, str]) -> None:
    """Add the page of the login link to Prefect's pages, which the server must have written, and restrict all of them.

    Prefect's pages have the password, and send statistics to a service on the internet, which no setting prevents. So
    they are allowed to send requests only to their own server, unless the user has configured another API address.
    """
    pages = prefect_home(settings) / "pages"
    if (pages / "v1").is_dir():
        shutil.copyfile(Path(__file__).with_name("login.html"), pages / "v1" / PAGE)
    if not any(environment.get(name) for name in ("PREFECT_SERVER_UI_API_URL", "PREFECT_UI_API_URL")):
        for index in pages.glob("v*/index.html"):
            text = index.read_text(encoding="utf-8")
            if SAME_ORIGIN not in text:
                index.write_text(text.replace("<head>", f"<head>{SAME_ORIGIN}", 1), encoding="utf-8")


def mlflow_server(address: Address, environment: Mapping[str, str], settings: Settings, login: Login) -> ServerProcess:
    """Start MLflow's server with the database and files that runs without a server also use, so that all runs are in
    one place.

    Every request needs the login. MLflow's database of users is created again at each start, so that no earlier login
    is valid, even one of another user.
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
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,  # not on the command line: it may contain a password
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.artifacts_uri,
        "MLFLOW_AUTH_CONFIG_PATH": str(config.absolute()),
        "MLFLOW_AUTH_ADMIN_USERNAME": login.user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": login.password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": login.signing_key,
    }
    place = ["--host", address.host, "--port", str(address.mlflow_port), "--workers", "1"]  # SQLite has one writer
    return _start("mlflow", "MLflow's server", ["mlflow", "server", "--app-name", "basic-auth", *place], ours, settings)


def upgrade_mlflow(failed: ServerProcess, settings: Settings) -> bool:
    """Upgrade an older SQLite database and keep a copy of it; false if the server failed for another reason.

    Raises ``RunError`` if the upgrade fails, and for another kind of database, which cannot be copied here.
    """
    if "out-of-date database schema" not in failed.log.read_text(encoding="utf-8", errors="replace"):
        return False
    scheme, _, path = settings.mlflow_uri.partition(":///")
    if scheme != "sqlite":
        raise RunError(
            "an older version of MLflow made its database; back it up, run `mlflow db upgrade` with its address, "
            "then start `synthgap up` again"
        )
    file = Path(path)
    shutil.copy2(file, file.with_suffix(".db.before-upgrade"))
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", settings.mlflow_uri]
    done = subprocess.run(command, env=failed.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(
            f"MLflow's database {path!r} cannot be upgraded: {done.stderr.strip()[-300:]}; "
            "a copy from before the attempt is beside it"
        )
    return True


def worker(pool: str, environment: Mapping[str, str], settings: Settings) -> ServerProcess:
    """Start the worker, which runs each study of the pool in a separate process."""
    command = ["prefect", "worker", "start", "--pool", pool, "--type", "process", "--install-policy", "never"]
    return _start("worker", "The worker", [*command, "--name", worker_name(settings)], environment, settings)


def worker_name(settings: Settings) -> str:
    """Name of the worker: the same at every start of this home folder on this machine, and different for all others."""
    return f"synthgap@{socket.gethostname()}-{content_key(str(settings.home.absolute()))[:6]}"


def _start(
    name: str, title: str, command: list[str], environment: Mapping[str, str], settings: Settings
) -> ServerProcess:
    return ServerProcess(title, command, environment, settings.home / "logs" / f"{name}.log", settings.home)
