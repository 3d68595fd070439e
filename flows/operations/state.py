"""The state of ``synthgap up`` in one file, ``up.json`` in the home folder: addresses, processes, and a token.

Every process that ``up`` starts, and every process that those start, has the token in its environment. So all of them
are found even if their parents were killed, and no other process is ended.
"""

import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from pydantic import ValidationError

from flows.operations.login import Login, read_login
from flows.operations.process import answers
from tasks.config import Frozen
from tasks.files import replace_file
from tasks.processes import birth
from tasks.settings import Settings


class Service(Frozen):
    """One of the servers, or the worker."""

    name: str
    pid: int | None = None
    """Null for a server that this ``up`` did not start."""
    url: str | None = None
    """Address of its user interface."""
    health: str | None = None
    """Address that answers while the server works."""
    log: str | None = None
    """Path of its log; null for a server that this ``up`` did not start."""

    def healthy(self) -> bool:
        """Whether the server answers or, for a service without an address, its process runs."""
        if self.health is None:
            return self.pid is not None and psutil.pid_exists(self.pid)
        return answers(self.health)


class UpState(Frozen):
    """A ``synthgap up`` that was started and has not been ended."""

    token: str
    pid: int
    """Process of the supervisor."""
    created: str | float
    """When the supervisor's process started (``tasks.processes.birth``), which distinguishes it from a later process
    with the same id. An older version wrote seconds since 1970."""
    prefect_api: str
    tracking_uri: str
    services: tuple[Service, ...] = ()
    ready: bool = False
    """Whether all services have started and none is being ended."""
    complaints: tuple[str, ...] = ()
    """Study and watch files that cannot be used, with the reason."""

    @property
    def own_servers(self) -> set[str]:
        """Names of the servers that this ``up`` started itself and that accept its password."""
        return {service.name for service in self.services if service.pid and service.name != "worker"}

    @property
    def alive(self) -> bool:
        """Whether the supervisor's process is running."""
        try:
            process = psutil.Process(self.pid)
            if isinstance(self.created, float):
                same = abs(process.create_time() - self.created) < 1
            else:
                same = birth(self.pid) == self.created
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def summary(self, login: Login | None = None) -> str:
        """The addresses as lines of text; with ``login`` also the password, only for the owner's terminal."""
        urls = {service.name: service.url for service in self.services}
        prefect, mlflow, password = str(urls["prefect"]), str(urls["mlflow"]), ""
        if "prefect" in self.own_servers:
            prefect = login.link(prefect) if login else f"{prefect}/v2/deployments"
        if "mlflow" in self.own_servers and login:
            password = f"; it asks for user {login.user} and password {login.password}"
        lines = [
            f"  Prefect  {prefect}   start a study, see its runs",
            f"  MLflow   {mlflow}   compare its trials{password}",
        ]
        if login is None and self.own_servers:
            lines.append("  `synthgap login` shows the link that logs a browser in, and the password.")
        return "\n".join([*lines, *(f"  Not registered: {complaint}" for complaint in self.complaints)])


def path_of(settings: Settings) -> Path:
    """The file of the state."""
    return settings.home / "up.json"


def read_state(settings: Settings) -> UpState | None:
    """The ``up`` that was started last and has not been ended; null if there is none or its file cannot be read."""
    try:
        return UpState.model_validate_json(path_of(settings).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def write_state(state: UpState, settings: Settings) -> None:
    """Replace the file in one step, so that no reader gets a part of it."""
    replace_file(path_of(settings), state.model_dump_json(indent=1).encode())


def is_running(state: UpState, settings: Settings) -> bool:
    """Whether this ``up`` has not been ended. If its supervisor was killed, it counts as running, because its servers
    still run.

    It also counts as running if its file cannot be read at the moment (too many open files, an unavailable network
    disk).
    """
    try:
        found = UpState.model_validate_json(path_of(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return found.token == state.token and found.ready


def use_running(settings: Settings) -> UpState | None:
    """Make this process a client of a running ``up``, with its login, unless the environment names other servers.

    Call it before the import of Prefect, which reads the environment. Returns the ``up`` if this process now uses its
    Prefect server.
    """
    state = read_state(settings)
    if state is None or not state.alive or not state.ready:
        return None
    if not all(service.healthy() for service in state.services if service.health):
        return None
    os.environ.setdefault("PREFECT_API_URL", state.prefect_api)
    os.environ.setdefault("SYNTHGAP_TRACKING_URI", state.tracking_uri)
    log_in(state, settings)
    uses_prefect = "prefect" in state.own_servers and os.environ["PREFECT_API_URL"] == state.prefect_api
    return state if uses_prefect else None


def log_in(state: UpState, settings: Settings) -> None:
    """Set the password in this process's environment, for the servers of this process that this ``up`` started."""
    login = read_login(settings)
    if login and "prefect" in state.own_servers and os.environ.get("PREFECT_API_URL") == state.prefect_api:
        os.environ.update(login.of_prefect)
    if login and "mlflow" in state.own_servers and os.environ.get("SYNTHGAP_TRACKING_URI") == state.tracking_uri:
        os.environ.update(login.of_mlflow)
