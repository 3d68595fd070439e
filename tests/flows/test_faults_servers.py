"""Servers that die in the middle of a study: it waits for them and goes on, nothing lost and nothing done twice."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.operations.addresses import Address
from flows.operations.environment import service_environment
from flows.operations.login import keep_login
from flows.operations.process import answers
from flows.operations.services import prefect_server
from tasks.settings import Settings
from tests.flows.home import SECONDS, Home, Up, family, free_port, until
from tests.mlflow_server import Server
from tests.provider import MODEL, Provider, provider

pytestmark = pytest.mark.slow

SEEDS = 6
MINUTE = 60.0


@pytest.fixture
def endpoint() -> Iterator[Provider]:
    """A fresh one for each test, which counts its calls."""
    with provider(latency=0.5) as running:
        yield running


def long_study(home: Home, endpoint: Provider, name: str, first_seed: int = 0) -> Path:
    """Calls and trainings from its start to its end, so that an outage meets both."""
    writer = {"model": MODEL, "api_base": endpoint.url, "concurrency": 2}
    seeds = list(range(first_seed, first_seed + SEEDS))  # a study finds the trials of another one with its seeds
    return home.study(endpoint, name, rows_per_label=20, generators=[writer], seeds=seeds, untrained=[])


def all_cells_once(home: Home, study: str) -> None:
    results = home.results(study)
    assert [cell["error"] for cell in results["cells"] if cell["status"] != "ok"] == []
    assert len(results["cells"]) == 2 * SEEDS
    assert not any(cell["cached"] for cell in results["cells"])  # all trained in this one run


def test_mlflow_is_away_for_a_minute(tmp_path: Path, endpoint: Provider) -> None:
    server = Server(tmp_path / "server").ready()
    home = Home(tmp_path / "home", {"SYNTHGAP_TRACKING_URI": server.uri})
    home.path.mkdir()
    try:
        process = home.start("run", str(long_study(home, endpoint, "away")))
        until(lambda: endpoint.stats()["answered"] >= 6, "some calls are answered")
        server.end(signal.SIGKILL)
        time.sleep(MINUTE)
        assert process.poll() is None, process.communicate()
        server.start()
        server.ready()
        _, said = process.communicate(timeout=SECONDS)
    finally:
        server.end()
    assert process.returncode == 0, said
    assert said.count("does not answer") == 1 and "Traceback" not in said
    all_cells_once(home, "away")
    assert endpoint.stats()["repeated"] == 0
    states = server.run_states()
    assert states.count("FINISHED") == 3  # the study, and the curves of its two modes
    assert set(states) <= {"FINISHED", "KILLED"}  # killed: made again, because the answer to its making was lost


def test_a_prefect_server_of_ones_own_is_away_for_a_minute(tmp_path: Path, endpoint: Provider) -> None:
    settings = Settings(home=tmp_path / "server")
    settings.home.mkdir()
    address = Address(prefect_port=free_port())
    login = keep_login(settings, {})
    server = prefect_server(address, service_environment("of a test", settings), settings, login)
    api = f"http://127.0.0.1:{address.prefect_port}/api"
    home = Home(tmp_path / "home", {"PREFECT_API_URL": api, **login.of_prefect})
    home.path.mkdir()
    try:
        server.wait(lambda: answers(f"{api}/health"))
        process = home.start("run", str(long_study(home, endpoint, "away")))
        until(lambda: endpoint.stats()["answered"] >= 6, "some calls are answered")
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
        time.sleep(MINUTE)
        assert process.poll() is None, process.communicate()
        server.restart()
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said
        [run] = Up(settings.home, prefect=address.prefect_port).api("flow_runs/filter", {})
        assert run["state_type"] == "COMPLETED", run["state"]
    finally:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
    assert "Traceback" not in said
    all_cells_once(home, "away")
    assert endpoint.stats()["repeated"] == 0
    assert set(home.mlflow_states()) == {"FINISHED"}


def test_the_server_of_a_run_dies(tmp_path: Path, endpoint: Provider) -> None:
    home = Home(tmp_path)
    process = home.start("run", str(long_study(home, endpoint, "alone")))
    until(lambda: endpoint.stats()["answered"] >= 6, "some calls are answered")
    [server] = [
        child for child in family(process.pid) if "flows.operations.ephemeral_server" in " ".join(child.cmdline())
    ]
    server.kill()
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "started again" in said and "Traceback" not in said
    all_cells_once(home, "alone")
    assert endpoint.stats()["repeated"] == 0
    assert set(home.mlflow_states()) == {"FINISHED"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("up"))
    process = up.up()
    yield up
    up.run("down")
    process.wait(60)


@pytest.mark.parametrize("service", ["mlflow", "prefect"])
def test_a_server_of_up_dies(up: Up, endpoint: Provider, service: str) -> None:
    name = f"without-{service}"
    long_study(up, endpoint, name, 0 if service == "mlflow" else SEEDS)
    pid = up.pid(service)
    run = up.press(name)
    until(lambda: endpoint.stats()["answered"] >= 6, "some calls are answered")
    psutil.Process(pid).kill()
    until(lambda: up.pid(service) != pid, f"{service} is started again")
    ended = up.ended(run)
    assert ended["state_type"] == "COMPLETED", ended["state"]
    assert ended["run_count"] == 1
    all_cells_once(up, name)
    assert endpoint.stats()["repeated"] == 0
    assert set(up.mlflow_states()) <= {"FINISHED", "KILLED"}
    assert up.run("status").returncode == 0


def test_down_ends_a_run_that_uses_the_servers(up: Up, endpoint: Provider) -> None:
    study = str(long_study(up, endpoint, "in-use", 2 * SEEDS))
    process = up.start("run", study)
    until(lambda: endpoint.stats()["answered"] >= 6, "some calls are answered")
    assert up.run("down").returncode == 0
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "`synthgap up`, whose servers this run used, was ended; all answers that arrived are kept" in said
    assert len(said) < 20_000 and "Traceback" not in said
    done = up.run("run", study)
    assert done.returncode == 0, done.stderr
    assert endpoint.stats()["repeated"] <= 2  # those in flight at the end
