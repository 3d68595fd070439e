"""Studies that are interrupted and killed: they end at once, leave nothing behind, and the next run goes on. A process
that stands still has crashed until it goes on, one that waits for a long training has not.
"""

import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

from flows.operations.automations import DEAD_RUNS, SILENCE_S
from tests.flows.home import Home, Up, family, left_of, until
from tests.provider import MODEL, Provider, provider

pytestmark = pytest.mark.slow

PROMPT_S = 15
"""Seconds to the end of a run that is told to end; a busy machine is slow."""
HEARTBEAT_S, IMPATIENT_S = 30, 50
"""Seconds between two heartbeats, Prefect's fewest, and without any in this test."""


@pytest.fixture
def endpoint() -> Iterator[Provider]:
    """A fresh one for each test, which counts its calls."""
    with provider(latency=0.5) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


def writer(endpoint: Provider) -> dict[str, Any]:
    """Its address makes its calls its own: no journal of another test has them."""
    return {"model": MODEL, "api_base": endpoint.url, "concurrency": 4}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_told_to_end(home: Home, endpoint: Provider, number: signal.Signals) -> None:
    study = home.study(endpoint, number.name.lower(), rows_per_label=20, generators=[writer(endpoint)])
    process = home.start("run", str(study))
    until(lambda: endpoint.stats()["answered"] >= 8, "some calls are answered")
    everybody, told = family(process.pid), time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=PROMPT_S)
    psutil.wait_procs(everybody, PROMPT_S)
    assert time.monotonic() - told < PROMPT_S
    assert left_of(everybody) == []
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert said.count("interrupted") == 1 and "Traceback" not in said

    done = home.run("run", str(study), "--json")
    assert done.returncode == 0, done.stderr
    assert "RUNNING" not in home.mlflow_states()
    assert endpoint.stats()["repeated"] <= 4  # those in flight


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("up"), {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)}, studies=2)
    process = up.up()
    yield up
    up.run("down")
    process.wait(60)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "cancelled"])
def test_a_run_of_the_worker_that_is_told_to_end(up: Up, endpoint: Provider, how: str) -> None:
    study = f"told-{how.lower()}"
    up.study(endpoint, study, rows_per_label=20, generators=[writer(endpoint)])
    run = up.press(study)
    until(lambda: endpoint.stats()["answered"] >= 8, "some calls are answered")
    process = up.flow_process(run)
    everybody = family(process.pid)
    if how == "cancelled":
        up.api(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    else:
        process.send_signal(getattr(signal, how))
    ended = up.ended(run)
    assert ended["state_type"] in ("CANCELLED", "CRASHED", "FAILED"), ended["state"]
    psutil.wait_procs(everybody, 4 * PROMPT_S)
    assert left_of(everybody) == []

    again = up.ended(up.press(study))
    assert again["state_type"] == "COMPLETED", again["state"]
    assert "RUNNING" not in up.mlflow_states()
    assert endpoint.stats()["repeated"] <= 4


def test_a_silent_run_has_crashed_until_it_wakes_and_a_long_training_has_not(up: Up, endpoint: Provider) -> None:
    [automation] = [item for item in up.api("automations/filter", {}) if item["name"] == DEAD_RUNS]
    assert automation["enabled"] and automation["trigger"]["within"] == SILENCE_S
    assert 3 * PREFECT_FLOWS_HEARTBEAT_FREQUENCY.default() <= SILENCE_S

    same = {name: automation[name] for name in ("description", "trigger", "actions")}
    del same["trigger"]["id"]
    up.api("automations/", {**same, "name": "impatient", "trigger": same["trigger"] | {"within": IMPATIENT_S}})
    runs = {}
    for number, name in enumerate(("trains-for-long", "stands-still")):
        up.study(endpoint, name, modes=["real"], seeds=[100 + number])
        runs[name] = up.press(name)
    training = up.training_process(runs["trains-for-long"])
    training.suspend()
    suspended = time.monotonic()
    asleep = up.training_process(runs["stands-still"])
    asleep.suspend()
    until(lambda: up.events("prefect.flow-run.heartbeat", runs["stands-still"]), "it has sent a heartbeat")
    flow = up.flow_process(runs["stands-still"])
    flow.suspend()

    crashed = up.ended(runs["stands-still"])
    assert crashed["state_type"] == "CRASHED" and "no heartbeat" in crashed["state"]["message"]
    time.sleep(max(0.0, suspended + IMPATIENT_S + HEARTBEAT_S - time.monotonic()))
    assert up.api(f"flow_runs/{runs['trains-for-long']}")["state_type"] == "RUNNING"
    training.resume()
    assert up.ended(runs["trains-for-long"])["state_type"] == "COMPLETED"
    [cell] = [cell for cell in up.results("trains-for-long")["cells"] if cell["arm"]["mode"] == "real"]
    assert cell["status"] == "ok"

    flow.resume()  # as on a laptop that is opened again
    until(lambda: up.api(f"flow_runs/{runs['stands-still']}")["state_type"] == "RUNNING", "it is seen to live")
    asleep.resume()
    assert up.ended(runs["stands-still"])["state_type"] == "COMPLETED"
