"""What ``synthgap up`` started, in one file under SYNTHGAP_HOME: addresses, processes, and a token that marks them.

Every process that ``up`` starts, and every process that those start, carries the token in its environment. So all of
them are found whatever became of their parents: after a kill -9 nothing is left over for ever, and no process that is
not ours is ever ended.
"""

import contextlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from pydantic import ValidationError

from flows.operations.environment import TOKEN
from flows.operations.login import Login, read_login
from tasks.config import Frozen
from tasks.files import replace_file
from tasks.processes import birth
from tasks.settings import Settings

ANSWER_S = 5.0


class Service(Frozen):
    """One of the servers, or the worker."""

    name: str
    pid: int | None = None
    """Null for a server that is not ours."""
    url: str | None = None
    """Address of its user interface."""
    health: str | None = None
    """Address that answers while it is well."""
    log: str | None = None

    def healthy(self) -> bool:
        """It answers, or where it has no address, it lives."""
        if self.health is None:
            return self.pid is not None and psutil.pid_exists(self.pid)
        return answers(self.health)


class UpState(Frozen):
    """A running ``synthgap up``."""

    token: str
    pid: int
    """Of the process that watches over the services."""
    created: str | float
    """Its birth (``tasks.processes``), which tells it from a later one with the same number. An older version wrote
    seconds since 1970."""
    prefect_api: str
    tracking_uri: str
    services: tuple[Service, ...] = ()
    ready: bool = False
    complaints: tuple[str, ...] = ()
    """Study files that cannot be used."""

    @property
    def alive(self) -> bool:
        """The process that watches is there."""
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
        """Where to look, for a person; with a login, how to get in, which belongs on its owner's terminal alone."""
        urls = {service.name: service.url for service in self.services}
        ours = {service.name for service in self.services if service.pid}
        prefect, mlflow, asked = str(urls["prefect"]), str(urls["mlflow"]), ""
        if "prefect" in ours:
            prefect = login.link(prefect) if login else f"{prefect}/v2/deployments"
        if "mlflow" in ours and login:
            asked = f"; it asks for user {login.user} and password {login.password}"
        lines = [
            f"  Prefect  {prefect}   start a study, see its runs",
            f"  MLflow   {mlflow}   compare its trials{asked}",
        ]
        if login is None and ours & {"prefect", "mlflow"}:
            lines.append("  `synthgap login` shows the link and the password that let a browser in.")
        return "\n".join([*lines, *(f"  Not registered: {complaint}" for complaint in self.complaints)])


def path_of(settings: Settings) -> Path:
    """Where the state is kept."""
    return settings.home / "up.json"


def read_state(settings: Settings) -> UpState | None:
    """What was started last and not ended; null where there is nothing, or nothing that can be read."""
    try:
        return UpState.model_validate_json(path_of(settings).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def write_state(state: UpState, settings: Settings) -> None:
    """Replace the state at once: a reader never sees half of it."""
    replace_file(path_of(settings), state.model_dump_json(indent=1).encode())


def use_running(settings: Settings) -> UpState | None:
    """Point this process at the servers of a running ``up``, where its environment says nothing else, and log it in.

    To be called before Prefect is imported: it reads its environment once. Returns the ``up`` whose Prefect it uses.
    """
    state = read_state(settings)
    if state is None or not state.alive or not state.ready:
        return None
    if not all(service.healthy() for service in state.services if service.health):
        return None
    os.environ.setdefault("PREFECT_API_URL", state.prefect_api)
    os.environ.setdefault("SYNTHGAP_TRACKING_URI", state.tracking_uri)
    log_in(state, settings)
    ours = any(service.name == "prefect" and service.pid for service in state.services)
    return state if ours and os.environ["PREFECT_API_URL"] == state.prefect_api else None


def is_running(state: UpState, settings: Settings) -> bool:
    """Nobody has ended this ``up``. One that was killed is not ended yet: its servers live on.

    A state that is there but cannot be read just now (no more files may be open, a network's disk is away) says nothing
    about that.
    """
    try:
        found = UpState.model_validate_json(path_of(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return found.token == state.token and found.ready


def log_in(state: UpState, settings: Settings) -> None:
    """Give this process the password of those servers that ``up`` started and that its environment names."""
    ours = {service.name for service in state.services if service.pid}
    login = read_login(settings)
    if login and "prefect" in ours and os.environ.get("PREFECT_API_URL") == state.prefect_api:
        os.environ.update(login.of_prefect)
    if login and "mlflow" in ours and os.environ.get("SYNTHGAP_TRACKING_URI") == state.tracking_uri:
        os.environ.update(login.of_mlflow)


def answers(address: str) -> bool:
    """Whether a GET of ``address`` succeeds."""
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_S):
            return True
    except (urllib.error.URLError, OSError):
        return False


def processes(token: str) -> list[psutil.Process]:
    """All processes that carry the token, this one left out."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:  # another user's, or gone
            continue
        if environment.get(TOKEN) == token and process.pid != os.getpid():
            found.append(process)
    return found


def end(ours: list[psutil.Process], seconds: float) -> None:
    """Ask processes to end, and after ``seconds`` make them."""
    for process in ours:
        _signal(process.terminate)
    _, left = psutil.wait_procs(ours, seconds)
    for process in left:
        _signal(process.kill)
    psutil.wait_procs(left, seconds)


def _signal(send: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        send()
