"""``synthgap up`` as a user meets it: real servers, a real worker, studies started as Prefect's form starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.operations import state
from flows.operations.login import Login, read_login
from flows.operations.services import worker_name
from tasks.settings import Settings
from tests.flows.asking import ask
from tests.provider import MODEL, ROOT, Provider, provider

pytestmark = pytest.mark.slow

SECONDS = 400


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.3)
    return value


@dataclass
class Place:
    """A home, its ports, and the commands of a user there."""

    home: Path
    prefect: int
    mlflow: int

    @property
    def environment(self) -> dict[str, str]:
        ours = {"SYNTHGAP_HOME": str(self.home), "OPENAI_API_KEY": "sk-planted-key", "PYTHONPATH": str(ROOT)}
        foreign = ("PREFECT_", "MLFLOW_", "SYNTHGAP_TRACKING")
        return {**{name: value for name, value in os.environ.items() if not name.startswith(foreign)}, **ours}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flows.cli", *arguments]

    def up(self) -> subprocess.Popen[str]:
        ports = ["--prefect-port", str(self.prefect), "--mlflow-port", str(self.mlflow)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(self.command("up", *ports), env=self.environment, cwd=self.home, **pipes)
        until(
            lambda: process.poll() is not None or (self.state and self.state.pid == process.pid and self.state.ready),
            "synthgap up is ready",
        )
        assert process.poll() is None, process.stdout.read()
        return process

    def synthgap(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    @property
    def state(self) -> state.UpState | None:
        return state.read_state(Settings(home=self.home))

    @property
    def login(self) -> Login:
        login = read_login(Settings(home=self.home))
        assert login
        return login

    def api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        for _ in range(20):
            try:
                return json.loads(ask(f"http://127.0.0.1:{self.prefect}/api/{path}", body, self.login))
            except urllib.error.HTTPError as error:
                if error.code != 503:  # SQLite was locked; every client of Prefect tries again
                    raise
            time.sleep(0.5)
        raise AssertionError(f"{path} is never available")

    def start(self, study: str, **parameters: Any) -> str:
        """Press Run in the form; the run's id."""
        deployment = self.api(f"deployments/name/study/{study}")
        return str(self.api(f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})["id"])

    def ended(self, run: str) -> dict[str, Any]:
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return until(
            lambda: (found := self.api(f"flow_runs/{run}"))["state_type"] in final and found, "the run has ended"
        )

    def mlflow_runs(self, experiment: str) -> list[dict[str, Any]]:
        base = f"http://127.0.0.1:{self.mlflow}/api/2.0/mlflow"
        found = json.loads(ask(f"{base}/experiments/get-by-name?experiment_name={experiment}", login=self.login))
        wanted = {"experiment_ids": [found["experiment"]["experiment_id"]]}
        return list(json.loads(ask(f"{base}/runs/search", wanted, self.login))["runs"])


def write_study(home: Path, endpoint: Provider, name: str, **change: Any) -> None:
    config = {
        "name": name,
        "tasks": ["sms_spam"],
        "modes": ["real", "zero_shot"],
        "generators": [{"model": MODEL, "api_base": endpoint.url, "concurrency": 4}],
        "classifiers": ["probe/embedded/minilm-l6"],
        "seeds": [0],
        "rows_per_label": 5,
        "test_rows": 40,
        "reference_rows": 0,
        **change,
    }
    (home / "studies").mkdir(parents=True, exist_ok=True)
    (home / "studies" / f"{name}.yaml").write_text(f"# What {name} is for.\n{json.dumps(config)}")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Provider]:
    with provider(latency=0.5) as running:
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, endpoint: Provider) -> Iterator[Place]:
    """A place where ``up`` runs; whatever is left of it at the end is ended."""
    place = Place(tmp_path_factory.mktemp("home"), free_port(), free_port())
    write_study(place.home, endpoint, "small")
    process = place.up()
    token = place.state.token
    yield place
    place.synthgap("down")
    process.wait(60)
    left = state.processes(token)
    state.end(left, 0)
    assert left == []


def test_status_names_addresses_studies_and_health(place: Place) -> None:
    found = json.loads(place.synthgap("status", "--json").stdout)
    assert found["healthy"] is True
    assert {service["name"]: service["healthy"] for service in found["services"]} == {
        "prefect": True,
        "mlflow": True,
        "worker": True,
    }
    assert {"small", "quickstart"} <= set(found["studies"])


def test_a_second_up_says_where_the_first_one_is(place: Place) -> None:
    done = place.synthgap("up")
    assert done.returncode == 0
    assert "up already" in done.stdout and str(place.prefect) in done.stdout and str(place.mlflow) in done.stdout


def test_servers_listen_on_this_machine_only(place: Place) -> None:
    pids = {service.pid for service in place.state.services}
    listening = [
        link.laddr.ip
        for process in state.processes(place.state.token)
        for link in process.net_connections("inet")
        if link.status == psutil.CONN_LISTEN
    ]
    assert len(pids) == 3 and set(listening) == {"127.0.0.1"}


def test_a_deployment_is_a_study_with_its_form(place: Place) -> None:
    found = place.api("deployments/name/study/small")
    assert found["description"].startswith("What small is for.")
    assert found["parameters"]["rows_per_label"] == 5
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert "sms_spam" in found["parameter_openapi_schema"]["properties"]["tasks"]["items"]["enum"]


@pytest.mark.parametrize("bad", [{"modes": ["few_shots"]}, {"rows_per_label": 0}, {"budget_usd": -1}, {"tasks": "x"}])
def test_the_form_refuses_what_can_never_be(place: Place, bad: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        place.start("small", **bad)
    assert 400 <= refusal.value.code < 500
    assert next(iter(bad)) in refusal.value.read().decode()


def test_a_run_that_dies_with_its_worker_goes_on_and_pays_nothing_twice(place: Place, endpoint: Provider) -> None:
    write_study(place.home, endpoint, "killed", rows_per_label=20)
    until(lambda: "killed" in _deployments(place), "the new study file is registered")
    before = endpoint.stats()
    first = place.start("killed")
    second = place.start("killed")  # waits, finds everything done
    until(lambda: endpoint.stats()["answered"] >= before["answered"] + 12, "a dozen calls are answered")
    [worker] = [service.pid for service in place.state.services if service.name == "worker"]
    os.kill(worker, signal.SIGKILL)
    ended = [place.ended(first), place.ended(second)]
    assert [run["state_type"] for run in ended] == ["COMPLETED", "COMPLETED"], [run["state"] for run in ended]
    assert ended[0]["run_count"] == 2
    stats = endpoint.stats()
    assert stats["repeated"] - before["repeated"] <= 4  # those under way at the kill
    assert {run["info"]["status"] for run in place.mlflow_runs("killed")} == {"FINISHED", "KILLED"}


def test_prefect_deploy_registers_the_same_as_up(place: Place) -> None:
    def registered() -> dict[str, Any]:
        found = place.api("deployments/name/study/quickstart")
        volatile = ("created", "updated", "last_polled", "status", "global_concurrency_limit", "version_info")
        return {name: value for name, value in found.items() if name not in volatile and "version_id" not in name}

    before = registered()
    before["tags"].remove(worker_name(Settings(home=place.home)))  # what only `up` removes with its file
    reached = {"PREFECT_API_URL": f"http://127.0.0.1:{place.prefect}/api", **place.login.of_prefect}
    environment = {**place.environment, **reached, "PREFECT_HOME": str(place.home / "prefect")}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "quickstart" in done.stdout
    assert registered() == before


def test_a_form_changes_one_run(place: Place) -> None:
    run = place.ended(place.start("small", seeds=[3, 4], rows_per_label=6))
    assert run["state_type"] == "COMPLETED", run["state"]
    results = json.loads((place.home / "studies" / "small" / "results.json").read_text())
    assert {cell["seed"] for cell in results["cells"]} == {3, 4}
    assert results["syntheses"][0]["yields"]["kept"] == 12


def test_what_no_form_can_know_is_one_clear_line(place: Place) -> None:
    run = place.ended(place.start("small", generators=["embedded/gpt"]))
    assert run["state_type"] == "FAILED"
    assert "embedded/gpt" in run["state"]["message"] and "smollm2" in run["state"]["message"]


def test_a_run_of_the_command_line_is_seen_on_the_same_servers(place: Place) -> None:
    done = place.synthgap("run", "small", "--json")
    assert done.returncode == 0, done.stderr
    [cell] = [cell for cell in json.loads(done.stdout)["cells"] if cell["arm"]["mode"] == "zero_shot"]
    assert cell["run_id"] in {run["info"]["run_id"] for run in place.mlflow_runs("small")}
    assert not (place.home / "prefect-server.log").exists()  # no server of its own


def test_a_key_is_nowhere_on_disk(place: Place) -> None:
    leaks = [path for path in place.home.rglob("*") if path.is_file() and b"sk-planted-key" in path.read_bytes()]
    assert leaks == []


def test_a_kill_of_everything_loses_nothing_and_down_leaves_nothing(place: Place, endpoint: Provider) -> None:
    writer = {"model": MODEL, "api_base": endpoint.url, "concurrency": 4}
    own_calls = {"synthesis_per": "seed", "seeds": [11]}  # which no earlier test has made of this endpoint
    write_study(place.home, endpoint, "interrupted", generators=[writer], rows_per_label=12, **own_calls)
    until(lambda: "interrupted" in _deployments(place), "the new study file is registered")
    before, token = endpoint.stats(), place.state.token
    run = place.start("interrupted")
    until(lambda: endpoint.stats()["answered"] >= before["answered"] + 6, "some calls are answered")
    os.kill(place.state.pid, signal.SIGKILL)
    until(lambda: not place.state.alive, "the watcher is gone")
    status = place.synthgap("status")
    assert status.returncode == 1 and "without cleaning up" in status.stdout
    assert state.processes(token)

    again = place.up()  # ends what is left, starts anew on the same ports
    assert state.processes(token) == []
    assert place.ended(run)["state_type"] == "COMPLETED"
    assert endpoint.stats()["repeated"] - before["repeated"] <= 4

    token = place.state.token
    assert place.synthgap("down").returncode == 0
    assert again.wait(60) == 0
    assert state.processes(token) == [] and place.state is None


def _deployments(place: Place) -> set[str]:
    return {deployment["name"] for deployment in place.api("deployments/filter", {})}
