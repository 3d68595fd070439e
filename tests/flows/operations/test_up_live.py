"""``synthgap up`` as a user meets it: real servers, a real worker, studies started as Prefect's form starts them."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from flows.operations.process import end_processes, marked_processes
from flows.operations.services import worker_name
from tasks.data.catalog import CATALOG
from tasks.settings import Settings
from tests.flows.home import KEY, SECONDS, Up, until
from tests.provider import MODEL, ROOT, Provider, provider

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Provider]:
    with provider(latency=0.5) as running:
        yield running


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, endpoint: Provider) -> Iterator[Up]:
    """A home where ``up`` runs; whatever is left of it at the end is ended."""
    up = Up(tmp_path_factory.mktemp("home"))
    small = up.study(endpoint, "small", rows_per_label=5)
    small.write_text(f"# What small is for.\n{small.read_text()}")
    process = up.up()
    token = up.state.token
    yield up
    up.run("down")
    process.communicate(timeout=60)
    left = marked_processes(token)
    end_processes(left, 0)
    assert left == []


def test_status_names_addresses_studies_and_health(up: Up) -> None:
    found = json.loads(up.run("status", "--json").stdout)
    assert found["healthy"] is True
    assert {service["name"]: service["healthy"] for service in found["services"]} == {
        "prefect": True,
        "mlflow": True,
        "worker": True,
    }
    assert {"small", "quickstart"} <= set(found["studies"])


def test_a_second_up_says_where_the_first_one_is(up: Up) -> None:
    done = up.run("up")
    assert done.returncode == 0
    assert "up already" in done.stdout and up.prefect_url in done.stdout and up.mlflow_url in done.stdout


def test_servers_listen_on_this_machine_only(up: Up) -> None:
    pids = {service.pid for service in up.state.services}
    listening = [
        link.laddr.ip
        for process in marked_processes(up.state.token)
        for link in process.net_connections("inet")
        if link.status == psutil.CONN_LISTEN
    ]
    assert len(pids) == 3 and set(listening) == {"127.0.0.1"}


def test_a_deployment_is_a_study_with_its_form(up: Up) -> None:
    found = up.api("deployments/name/study/small")
    assert found["description"].startswith("What small is for.")
    assert found["parameters"]["rows_per_label"] == 5
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert "sms_spam" in found["parameter_openapi_schema"]["properties"]["tasks"]["items"]["enum"]


@pytest.mark.parametrize("bad", [{"modes": ["few_shots"]}, {"rows_per_label": 0}, {"budget_usd": -1}, {"tasks": "x"}])
def test_the_form_refuses_what_can_never_be(up: Up, bad: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        up.press("small", **bad)
    assert 400 <= refusal.value.code < 500
    assert next(iter(bad)) in refusal.value.read().decode()


def test_a_study_is_registered_when_its_missing_task_file_is_there(up: Up, endpoint: Provider) -> None:
    task = up.path / "studies" / "tickets" / "tickets.yaml"
    up.study(endpoint, "waits", tasks=["./tickets/tickets.yaml"])
    until(lambda: any("study waits.yaml" in line for line in up.state.complaints), "the missing file is named")
    assert "waits" not in up.deployments()
    task.parent.mkdir()
    task.write_text((CATALOG / "sms_spam.yaml").read_text().replace("name: sms_spam", "name: tickets"))
    until(lambda: "waits" in up.deployments(), "the study is registered")
    until(lambda: not up.state.complaints, "nothing is left to complain about")


def test_a_run_that_dies_with_its_worker_goes_on_and_pays_nothing_twice(up: Up, endpoint: Provider) -> None:
    up.study(endpoint, "killed", rows_per_label=20)
    until(lambda: "killed" in up.deployments(), "the new study file is registered")
    before = endpoint.stats()
    first = up.press("killed")
    second = up.press("killed")  # waits, finds everything done
    until(lambda: endpoint.stats()["answered"] >= before["answered"] + 12, "a dozen calls are answered")
    [worker] = [service.pid for service in up.state.services if service.name == "worker"]
    os.kill(worker, signal.SIGKILL)
    ended = [up.ended(first), up.ended(second)]
    assert [run["state_type"] for run in ended] == ["COMPLETED", "COMPLETED"], [run["state"] for run in ended]
    assert ended[0]["run_count"] == 2
    stats = endpoint.stats()
    assert stats["repeated"] - before["repeated"] <= 4  # those under way at the kill
    assert {run["info"]["status"] for run in up.mlflow_runs("killed")} == {"FINISHED", "KILLED"}


def test_prefect_deploy_registers_the_same_as_up(up: Up) -> None:
    def registered() -> dict[str, Any]:
        found = up.api("deployments/name/study/quickstart")
        volatile = ("created", "updated", "last_polled", "status", "global_concurrency_limit", "version_info")
        return {name: value for name, value in found.items() if name not in volatile and "version_id" not in name}

    before = registered()
    before["tags"].remove(worker_name(Settings(home=up.path)))  # what only `up` removes with its file
    reached = {"PREFECT_API_URL": f"{up.prefect_url}/api", **up.login.of_prefect}
    environment = {**up.environment, **reached, "PREFECT_HOME": str(up.path / "prefect")}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "quickstart" in done.stdout
    assert registered() == before


def test_a_form_changes_one_run(up: Up) -> None:
    run = up.ended(up.press("small", seeds=[3, 4], rows_per_label=6))
    assert run["state_type"] == "COMPLETED", run["state"]
    results = json.loads((up.path / "studies" / "small" / "results.json").read_text())
    assert {cell["seed"] for cell in results["cells"]} == {3, 4}
    assert results["syntheses"][0]["yields"]["kept"] == 12


def test_what_no_form_can_know_is_one_clear_line(up: Up) -> None:
    run = up.ended(up.press("small", generators=["embedded/gpt"]))
    assert run["state_type"] == "FAILED"
    assert "embedded/gpt" in run["state"]["message"] and "smollm2" in run["state"]["message"]


def test_a_run_of_the_command_line_is_seen_on_the_same_servers(up: Up) -> None:
    done = up.run("run", "small", "--json", "--again")
    assert done.returncode == 0, done.stderr
    [cell] = [cell for cell in json.loads(done.stdout)["cells"] if cell["arm"]["mode"] == "zero_shot"]
    assert cell["run_id"] in {run["info"]["run_id"] for run in up.mlflow_runs("small")}
    assert not (up.path / "prefect-server.log").exists()  # no server of its own


def test_a_key_is_nowhere_on_disk(up: Up) -> None:
    leaks = [path for path in up.path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert leaks == []


def test_a_kill_of_everything_loses_nothing_and_down_leaves_nothing(up: Up, endpoint: Provider) -> None:
    writer = {"model": MODEL, "api_base": endpoint.url, "concurrency": 4}
    own_calls = {"synthesis_per": "seed", "seeds": [11]}  # which no earlier test has made of this endpoint
    up.study(endpoint, "interrupted", generators=[writer], rows_per_label=12, **own_calls)
    until(lambda: "interrupted" in up.deployments(), "the new study file is registered")
    before, token = endpoint.stats(), up.state.token
    run = up.press("interrupted")
    until(lambda: endpoint.stats()["answered"] >= before["answered"] + 6, "some calls are answered")
    os.kill(up.state.pid, signal.SIGKILL)
    until(lambda: not up.state.alive, "the supervisor has ended")
    status = up.run("status")
    assert status.returncode == 1 and "was killed" in status.stdout
    assert marked_processes(token)

    again = up.up()  # ends what is left, starts anew on the same ports
    assert marked_processes(token) == []
    assert up.ended(run)["state_type"] == "COMPLETED"
    assert endpoint.stats()["repeated"] - before["repeated"] <= 4

    token = up.state.token
    assert up.run("down").returncode == 0
    assert again.wait(60) == 0
    assert marked_processes(token) == [] and up.state is None
