"""A home folder with its studies, and what a user does there: commands, ``synthgap up``, requests to its servers."""

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from flows.operations import state
from flows.operations.login import Login, read_login
from tasks.settings import Settings
from tests.provider import MODEL, ROOT, Provider

SECONDS = 400
"""Patience with a busy machine."""
KEY = "sk-planted-0123456789abcdef"
"""The API key of every run here; it must never be found anywhere."""
FOREIGN = ("PREFECT_", "MLFLOW_", "SYNTHGAP_")


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """The first true value of ``condition``."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.2)
    return value


def ask(
    address: str, body: Any = None, login: Login | None = None, method: str | None = None, timeout: float = 120
) -> str:
    """The text that a server answers. Raises ``HTTPError`` where it refuses.

    A request with a login that changes something in Prefect gets the CSRF token that Prefect requires.
    """
    headers = {"Content-Type": "application/json"}
    if login:
        headers["Authorization"] = f"Basic {login.basic}"
    if body is not None and login and "/mlflow/" not in address:
        client = str(uuid4())
        token = f"{address.partition('/api/')[0]}/api/csrf-token?client={client}"
        headers["Prefect-Csrf-Client"] = client
        headers["Prefect-Csrf-Token"] = json.loads(ask(token, login=login))["token"]
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return str(answer.read().decode())


@dataclass
class Home:
    """A place of its own for Prefect, MLflow and synthgap."""

    path: Path
    extra: dict[str, str] = field(default_factory=dict)
    """Further environment of the commands."""

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "SYNTHGAP_HOME": str(self.path),
            "OPENAI_API_KEY": KEY,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "250",  # lines do not wrap
        }
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
            **ours,
            **self.extra,
        }

    def study(self, endpoint: Provider, name: str, **change: Any) -> Path:
        """Write a study of seconds; its path."""
        config = {
            "name": name,
            "tasks": ["sms_spam"],
            "modes": ["real", "zero_shot"],
            "generators": [{"model": MODEL, "api_base": endpoint.url, "concurrency": 4}],
            "classifiers": ["probe/embedded/minilm-l6"],
            "seeds": [0],
            "rows_per_label": 10,
            "test_rows": 40,
            "reference_rows": 0,
            **change,
        }
        path = self.path / "studies" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config))
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command under way, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command from start to end."""
        process = self.start(*arguments)
        out, said = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, out, said)

    def results(self, study: str) -> dict[str, Any]:
        """The newest results of a study."""
        found: dict[str, Any] = json.loads((self.path / "studies" / study / "results.json").read_text())
        return found

    def mlflow_states(self) -> list[str]:
        """How all of MLflow's runs ended, out of its database."""
        with contextlib.closing(sqlite3.connect(self.path / "mlflow.db")) as database:
            return sorted(state for (state,) in database.execute("select status from runs"))

    def journaled(self) -> int:
        """Calls in all journals."""
        return sum(path.read_text().count("\n") for path in (self.path / "journals").glob("*.jsonl"))


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def left_of(processes: list[psutil.Process]) -> list[str]:
    """Those that still run."""
    alive = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(" ".join(process.cmdline()))
    return alive


@dataclass
class Up(Home):
    """A home with a running ``synthgap up``."""

    prefect: int = field(default_factory=free_port)
    mlflow: int = field(default_factory=free_port)
    studies: int = 1
    """Studies at once."""

    def up(self) -> subprocess.Popen[str]:
        """Start it; returns when it is ready."""
        options = {"prefect-port": self.prefect, "mlflow-port": self.mlflow, "studies": self.studies}
        process = self.start("up", *[f"--{name}={value}" for name, value in options.items()])

        def ready() -> bool:
            found = self.state
            return found is not None and found.pid == process.pid and found.ready

        until(lambda: process.poll() is not None or ready(), "synthgap up is ready")
        assert process.poll() is None, process.communicate()
        return process

    @property
    def prefect_url(self) -> str:
        """Prefect's server."""
        return f"http://127.0.0.1:{self.prefect}"

    @property
    def mlflow_url(self) -> str:
        """MLflow's server."""
        return f"http://127.0.0.1:{self.mlflow}"

    @property
    def state(self) -> state.UpState | None:
        """What it says of itself."""
        return state.read_state(Settings(home=self.path))

    @property
    def login(self) -> Login:
        """What its servers ask for."""
        login = read_login(Settings(home=self.path))
        assert login
        return login

    def pid(self, service: str) -> int:
        """The process of a service."""
        found = self.state
        assert found
        [pid] = [item.pid for item in found.services if item.name == service]
        assert pid
        return pid

    def api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """An answer of Prefect's server, which may be busy or restarting."""
        address = f"{self.prefect_url}/api/{path}"
        for _ in range(240):
            try:
                return json.loads(ask(address, body, self.login, timeout=30))
            except urllib.error.HTTPError as error:
                if error.code != 503:  # SQLite was locked; every client of Prefect tries again
                    raise
            except OSError:
                pass
            time.sleep(0.5)
        raise AssertionError(f"{path} is never available")

    def press(self, study: str, **parameters: Any) -> str:
        """Start a study as its form does; the id of its run."""
        registered = {"deployments": {"name": {"any_": [study]}}}
        [deployment] = until(lambda: self.api("deployments/filter", registered), f"{study} is registered")
        return str(self.api(f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})["id"])

    def ended(self, run: str) -> dict[str, Any]:
        """A run, when it has ended."""
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        found: dict[str, Any] = until(
            lambda: (found := self.api(f"flow_runs/{run}"))["state_type"] in final and found, "the run has ended"
        )
        return found

    def deployments(self) -> set[str]:
        """Names of all deployments."""
        return {deployment["name"] for deployment in self.api("deployments/filter", {})}

    def mlflow_runs(self, experiment: str) -> list[dict[str, Any]]:
        """MLflow's runs of a study, out of an answer of its server."""
        base = f"{self.mlflow_url}/api/2.0/mlflow"
        found = json.loads(ask(f"{base}/experiments/get-by-name?experiment_name={experiment}", login=self.login))
        wanted = {"experiment_ids": [found["experiment"]["experiment_id"]]}
        return list(json.loads(ask(f"{base}/runs/search", wanted, self.login))["runs"])

    def events(self, name: str, run: str) -> list[dict[str, Any]]:
        """Events of this name that a run has sent."""
        chosen = {"event": {"name": [name]}, "resource": {"id": [f"prefect.flow-run.{run}"]}}
        found: list[dict[str, Any]] = self.api("events/filter", {"filter": chosen})["events"]
        return found

    def flow_process(self, run: str) -> psutil.Process:
        """The process of a run, when there is one."""

        def found() -> list[psutil.Process]:
            below = psutil.Process(self.pid("worker")).children(recursive=True)
            engines = [process for process in below if process.cmdline()[-1].endswith("engine")]
            return [process for process in engines if process.environ().get("PREFECT__FLOW_RUN_ID") == run]

        return until(lambda: _if_alive(found), "the run has a process")[0]

    def training_process(self, run: str) -> psutil.Process:
        """The process in which a run trains, when there is one."""
        flow = self.flow_process(run)

        def found() -> list[psutil.Process]:
            return [child for child in flow.children() if any("spawn_main" in part for part in child.cmdline())]

        return until(lambda: _if_alive(found), "the run trains")[0]


def _if_alive(find: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    """Processes come and go while they are looked at."""
    try:
        return find()
    except (psutil.NoSuchProcess, IndexError):
        return []
