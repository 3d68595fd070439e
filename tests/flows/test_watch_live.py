"""A watch as a user has it: ``synthgap up``, a provider that serves a new LLM, and the study that runs by itself.

The tests are one story, told in the order of the file.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flows.operations.automations import NEW_LLM
from tasks.discovery.memory import recall, remember
from tasks.settings import Settings
from tasks.store import Store
from tests.flows.home import KEY, Up, ask, until
from tests.provider import Provider, provider

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "first", "second", "third"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Provider]:
    with provider(latency=0.02) as running:
        running.serve(FIRST)
        yield running


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, endpoint: Provider) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("home"))
    write_grid(up, endpoint)
    write_watch(up, endpoint, "mine")
    up.up()
    yield up
    up.run("down")


def write_grid(up: Up, endpoint: Provider, **change: Any) -> None:
    first = {"model": f"openai/{FIRST}", "api_base": endpoint.url}
    up.study(endpoint, "grid", **{"generators": [first], "seeds": [0, 1], "rows_per_label": 5, **change})


def write_watch(up: Up, endpoint: Provider, name: str, **change: Any) -> None:
    watch = {
        "name": name,
        "study": "grid",
        "providers": [{"name": "mine", "api_base": endpoint.url}],
        "unknown_prices": True,
        "schedule": None,
        **change,
    }
    (up.path / "watches").mkdir(exist_ok=True)
    (up.path / "watches" / f"{name}.yaml").write_text(json.dumps(watch))


def send(up: Up, method: str, path: str, body: Any) -> None:
    """What the user interface does behind its switches."""
    ask(f"{up.prefect_url}/api/{path}", body, up.login, method)


def start_watch(up: Up, name: str = "mine") -> dict[str, Any]:
    deployment = up.api(f"deployments/name/watch/{name}")
    run = up.api(f"deployments/{deployment['id']}/create_flow_run", {})
    return up.ended(run["id"])


def new_llm_runs(up: Up) -> list[dict[str, Any]]:
    """Runs of the automation's deployment, newest first."""
    wanted = {"flows": {"name": {"any_": ["newcomer"]}}, "sort": "EXPECTED_START_TIME_DESC"}
    return list(up.api("flow_runs/filter", wanted))


def newest(up: Up, count: int) -> dict[str, Any]:
    """The newest of so many runs, when it has ended."""
    [run, *_] = until(lambda: len(found := new_llm_runs(up)) == count and found, "the automation started the study")
    return up.ended(run["id"])


def names(up: Up, flow: str) -> set[str]:
    """Deployments of a flow."""
    found = up.api("deployments/filter", {"flows": {"name": {"any_": [flow]}}})
    return {item["name"] for item in found}


def status_of(up: Up, model: str) -> str | None:
    known = recall(Store(Settings(home=up.path).store_url), f"openai/{model}")
    return known and known.status


def journaled(up: Up, model: str) -> list[str]:
    """Ids of all calls that were answered by a model."""
    files = (up.path / "journals").glob("*.jsonl")
    entries = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return [entry["call"] for entry in entries if entry["asked"] == f"openai/{model}"]


def source(row: dict[str, Any]) -> str | None:
    """The LLM of a cell or comparison; null for real rows."""
    return row["arm"]["source"] and row["arm"]["source"]["name"]


def results(up: Up) -> dict[str, Any]:
    return dict(json.loads((up.path / "studies" / "grid" / "results.json").read_text()))


def test_up_registers_watches_with_their_schedule_and_the_automation_once(up: Up) -> None:
    assert up.api("deployments/name/watch/mine")["schedules"] == []
    [schedule] = up.api("deployments/name/watch/new-llms")["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 6 * * *", True)
    assert [item["name"] for item in up.api("automations/filter", {})].count(NEW_LLM) == 1
    assert {"mine", "new-llms"} == set(json.loads(up.run("status", "--json").stdout)["watches"])


def test_an_llm_that_was_studied_is_not_new(up: Up, endpoint: Provider) -> None:
    assert up.ended(up.press("grid"))["state_type"] == "COMPLETED"
    asked = endpoint.stats()["asked"]
    run = start_watch(up)
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "1 LLM listed; nothing new")
    assert endpoint.stats()["asked"] == asked
    assert status_of(up, FIRST) == "studied"


def test_a_new_llm_is_run_through_the_study_and_nobody_else_is_asked(up: Up, endpoint: Provider) -> None:
    endpoint.serve(FIRST, SECOND)
    before = endpoint.stats()["asked_of"]
    assert "1 ready" in start_watch(up)["state"]["message"]
    run = newest(up, 1)
    assert run["parameters"] == {"watch": "mine", "model": f"openai/{SECOND}"}
    assert run["state_type"] == "COMPLETED", run["state"]
    stats = endpoint.stats()
    assert stats["asked_of"][FIRST] == before[FIRST]
    calls = journaled(up, SECOND)
    assert len(calls) == len(set(calls))  # what the smoke test asked was not asked again
    assert len(calls) <= stats["asked_of"][SECOND] <= len(calls) + stats["abandoned"]
    found = results(up)
    [kept] = [item["yields"]["kept"] for item in found["syntheses"] if item["generator"] == f"openai/{SECOND}"]
    assert kept == 10
    generated = {source(cell) for cell in found["cells"]} - {None}
    assert generated == {f"openai/{FIRST}", f"openai/{SECOND}"}
    assert all(cell["cached"] for cell in found["cells"] if source(cell) == f"openai/{FIRST}")
    assert f"openai/{SECOND}" in {row["challenger"].rpartition(" · ")[2] for row in found["challenges"]}
    [ledger] = (up.path / "budgets").glob("watch-mine-*.json")
    assert json.loads(ledger.read_text())["tokens"] > 0
    assert status_of(up, SECOND) == "triggered"


def test_a_second_look_triggers_nothing(up: Up, endpoint: Provider) -> None:
    asked = endpoint.stats()["asked"]
    assert "nothing new" in start_watch(up)["state"]["message"]
    assert len(new_llm_runs(up)) == 1
    assert endpoint.stats()["asked"] == asked


def test_what_a_month_s_budget_stops_goes_on_in_the_next_month(up: Up, endpoint: Provider) -> None:
    [ledger] = (up.path / "budgets").glob("watch-mine-*.json")
    spent = json.loads(ledger.read_text())["tokens"]
    write_grid(up, endpoint, budget_tokens=int(1.7 * spent))  # the smoke test, and then not all of the study
    endpoint.serve(FIRST, SECOND, THIRD)
    assert "1 ready" in start_watch(up)["state"]["message"]
    run = newest(up, 2)
    assert "a look in the next month lets its study go on" in run["state"]["message"]
    assert status_of(up, THIRD) == "stopped"
    before = journaled(up, THIRD)
    assert before
    store = Store(Settings(home=up.path).store_url)
    remember(store, replace(recall(store, f"openai/{THIRD}"), since="2026-01-31T00:00:00+00:00"))
    write_grid(up, endpoint)
    assert start_watch(up)["state"]["message"] == "3 LLMs listed; 1 ready"
    run = newest(up, 3)
    assert run["state_type"] == "COMPLETED", run["state"]
    after = journaled(up, THIRD)
    assert after[: len(before)] == before and len(after) == len(set(after)) > len(before)
    assert status_of(up, THIRD) == "triggered"
    beside = {source(cell) for cell in results(up)["cells"]} - {None}
    assert beside == {f"openai/{name}" for name in (FIRST, SECOND, THIRD)}  # also one that a watch found itself


def test_a_provider_that_does_not_tell_ends_the_look_as_failed_and_retires_nobody(up, endpoint: Provider) -> None:
    endpoint.serve(status=500)
    run = start_watch(up)
    assert run["state_type"] == "FAILED"
    assert endpoint.url in run["state"]["message"]
    assert (status_of(up, FIRST), status_of(up, SECOND)) == ("studied", "triggered")
    [artifact] = up.api("artifacts/latest/filter", {"artifacts": {"key": {"like_": "synthgap-watch-mine"}}})
    [line] = json.loads(artifact["data"])
    assert (line["outcome"], line["provider"]) == ("no answer", endpoint.url)


def test_one_that_is_not_listed_and_answers_404_is_retired(up: Up, endpoint: Provider) -> None:
    endpoint.serve(FIRST, THIRD, status=200, gone=[SECOND])
    assert "1 retired" in start_watch(up)["state"]["message"]
    assert (status_of(up, FIRST), status_of(up, SECOND)) == ("studied", "retired")


def test_404_in_the_middle_of_a_study_fails_its_cells_and_retires_it(up: Up, endpoint: Provider) -> None:
    endpoint.serve(THIRD, gone=[FIRST, SECOND])
    run = up.ended(up.press("grid", rows_per_label=9))
    assert run["state_type"] == "FAILED"
    errors = {cell["error"] for cell in results(up)["cells"] if source(cell) == f"openai/{FIRST}"}
    assert all("does not serve this model, or not any more (status 404)" in error for error in errors) and errors
    assert status_of(up, FIRST) == "retired"
    again = up.ended(up.press("grid"))  # what it wrote before it went stays comparable
    assert again["state_type"] == "COMPLETED"
    assert any(source(row) == f"openai/{FIRST}" and row["gap"] for row in results(up)["comparisons"])


def test_one_that_is_listed_and_answers_again_comes_back_by_itself(up: Up, endpoint: Provider) -> None:
    endpoint.serve(SECOND, THIRD, gone=[FIRST])
    before = journaled(up, SECOND)
    assert start_watch(up)["state"]["message"] == "2 LLMs listed; 1 ready"
    run = newest(up, 4)
    assert (run["state_type"], run["parameters"]["model"]) == ("COMPLETED", f"openai/{SECOND}")
    assert journaled(up, SECOND) == before  # nothing was missing
    assert (status_of(up, FIRST), status_of(up, SECOND)) == ("retired", "triggered")


def test_what_was_changed_on_the_server_stays_and_what_has_no_file_goes(up: Up, endpoint: Provider) -> None:
    for name in ("paused", "early", "late"):
        write_watch(up, endpoint, name, schedule="0 5 * * *")
    until(lambda: {"paused", "early", "late"} <= names(up, "watch"), "the watches are registered")
    [schedule] = up.api("deployments/name/watch/new-llms")["schedules"]
    send(up, "PATCH", f"deployments/{schedule['deployment_id']}/schedules/{schedule['id']}", {"active": False})
    send(up, "POST", f"deployments/{up.api('deployments/name/watch/paused')['id']}/pause_deployment", {})
    grid = up.api("deployments/name/study/grid")["id"]
    weekly = {"schedule": {"cron": "0 3 * * 1"}, "active": True}
    send(up, "POST", f"deployments/{grid}/schedules", [weekly])
    [automation] = [item for item in up.api("automations/filter", {}) if item["name"] == NEW_LLM]
    send(up, "PATCH", f"automations/{automation['id']}", {"enabled": False})

    (up.path / "watches" / "early.yaml").unlink()
    until(lambda: "early" not in names(up, "watch"), "its deployment is gone, too")
    up.run("down")
    (up.path / "watches" / "late.yaml").unlink()
    (up.path / "studies" / "grid.yaml").rename(up.path / "studies" / "moved.yaml")
    up.up()

    assert names(up, "watch") == {"mine", "paused", "new-llms"}  # also one whose study is not found at the moment
    assert not up.api("deployments/name/watch/new-llms")["schedules"][0]["active"]
    assert up.api("deployments/name/watch/paused")["paused"]
    found = up.api("deployments/name/study/grid")
    assert (found["id"], found["parameters"]["study"]) == (grid, "moved")
    assert [item["schedule"]["cron"] for item in found["schedules"]] == ["0 3 * * 1"]
    assert "is switched off" in start_watch(up, "new-llms")["state"]["message"]


def test_no_key_is_on_disk(up: Up) -> None:
    leaks = [path for path in up.path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert leaks == []
