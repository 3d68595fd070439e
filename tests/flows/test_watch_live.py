"""A watch as a user has it: ``synthgap up``, a provider that serves a new LLM, and the study that runs by itself.

The tests are one story, told in the order of the file.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.operations.automations import REACTION
from tasks.discovery.memory import recall, remember
from tasks.settings import Settings
from tasks.store import Store
from tests.flows.asking import ask
from tests.flows.test_operations_live import Place, free_port, until, write_study
from tests.provider import Provider, provider

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "first", "second", "third"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Provider]:
    with provider(latency=0.02) as running:
        running.serve(FIRST)
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, endpoint: Provider) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("home"), free_port(), free_port())
    write_grid(place, endpoint)
    write_watch(place, endpoint, "mine")
    place.up()
    yield place
    place.synthgap("down")


def write_grid(place: Place, endpoint: Provider, **change: Any) -> None:
    first = {"model": f"openai/{FIRST}", "api_base": endpoint.url}
    write_study(place.home, endpoint, "grid", generators=[first], seeds=[0, 1], **change)


def write_watch(place: Place, endpoint: Provider, name: str, **change: Any) -> None:
    watch = {
        "name": name,
        "study": "grid",
        "providers": [{"name": "mine", "api_base": endpoint.url}],
        "unknown_prices": True,
        "schedule": None,
        **change,
    }
    (place.home / "watches").mkdir(exist_ok=True)
    (place.home / "watches" / f"{name}.yaml").write_text(json.dumps(watch))


def send(place: Place, method: str, path: str, body: Any) -> None:
    """What the user interface does behind its switches."""
    ask(f"http://127.0.0.1:{place.prefect}/api/{path}", body, place.login, method)


def start_watch(place: Place, name: str = "mine") -> dict[str, Any]:
    deployment = place.api(f"deployments/name/watch/{name}")
    run = place.api(f"deployments/{deployment['id']}/create_flow_run", {})
    return place.ended(run["id"])


def new_llm_runs(place: Place) -> list[dict[str, Any]]:
    """Runs of the automation's deployment, newest first."""
    wanted = {"flows": {"name": {"any_": ["newcomer"]}}, "sort": "EXPECTED_START_TIME_DESC"}
    return list(place.api("flow_runs/filter", wanted))


def newest(place: Place, count: int) -> dict[str, Any]:
    """The newest of so many runs, when it has ended."""
    [run, *_] = until(lambda: len(found := new_llm_runs(place)) == count and found, "the automation started the study")
    return place.ended(run["id"])


def names(place: Place, flow: str) -> set[str]:
    """Deployments of a flow."""
    found = place.api("deployments/filter", {"flows": {"name": {"any_": [flow]}}})
    return {item["name"] for item in found}


def status_of(place: Place, model: str) -> str | None:
    known = recall(Store(Settings(home=place.home).store_url), f"openai/{model}")
    return known and known.status


def journaled(place: Place, model: str) -> list[str]:
    """Ids of all calls that were answered by a model."""
    files = (place.home / "journals").glob("*.jsonl")
    entries = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return [entry["call"] for entry in entries if entry["asked"] == f"openai/{model}"]


def results(place: Place) -> dict[str, Any]:
    return dict(json.loads((place.home / "studies" / "grid" / "results.json").read_text()))


def test_up_registers_watches_with_their_schedule_and_the_automation_once(place: Place) -> None:
    assert place.api("deployments/name/watch/mine")["schedules"] == []
    [schedule] = place.api("deployments/name/watch/new-llms")["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 6 * * *", True)
    assert [item["name"] for item in place.api("automations/filter", {})].count(REACTION) == 1
    assert {"mine", "new-llms"} == set(json.loads(place.synthgap("status", "--json").stdout)["watches"])


def test_an_llm_that_was_studied_is_not_new(place: Place, endpoint: Provider) -> None:
    assert place.ended(place.start("grid"))["state_type"] == "COMPLETED"
    asked = endpoint.stats()["asked"]
    run = start_watch(place)
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "1 LLM listed; nothing new")
    assert endpoint.stats()["asked"] == asked
    assert status_of(place, FIRST) == "studied"


def test_a_new_llm_is_run_through_the_study_and_nobody_else_is_asked(place: Place, endpoint: Provider) -> None:
    endpoint.serve(FIRST, SECOND)
    before = endpoint.stats()["asked_of"]
    assert "1 ready" in start_watch(place)["state"]["message"]
    run = newest(place, 1)
    assert run["parameters"] == {"watch": "mine", "model": f"openai/{SECOND}"}
    assert run["state_type"] == "COMPLETED", run["state"]
    stats = endpoint.stats()
    assert stats["asked_of"][FIRST] == before[FIRST]
    calls = journaled(place, SECOND)
    assert len(calls) == len(set(calls))  # what the smoke test asked was not asked again
    assert len(calls) <= stats["asked_of"][SECOND] <= len(calls) + stats["abandoned"]
    found = results(place)
    [kept] = [item["kept"] for item in found["syntheses"] if item["generator"] == f"openai/{SECOND}"]
    assert kept == 10
    generated = {cell["generator"] for cell in found["cells"]} - {None}
    assert generated == {f"openai/{FIRST}", f"openai/{SECOND}"}
    assert all(cell["cached"] for cell in found["cells"] if cell["generator"] == f"openai/{FIRST}")
    assert f"openai/{SECOND}" in {row["challenger"].rpartition(" · ")[2] for row in found["challenges"]}
    [ledger] = (place.home / "budgets").glob("watch-mine-*.json")
    assert json.loads(ledger.read_text())["tokens"] > 0
    assert status_of(place, SECOND) == "triggered"


def test_a_second_look_triggers_nothing(place: Place, endpoint: Provider) -> None:
    asked = endpoint.stats()["asked"]
    assert "nothing new" in start_watch(place)["state"]["message"]
    assert len(new_llm_runs(place)) == 1
    assert endpoint.stats()["asked"] == asked


def test_what_a_month_s_budget_stops_goes_on_in_the_next_month(place: Place, endpoint: Provider) -> None:
    [ledger] = (place.home / "budgets").glob("watch-mine-*.json")
    spent = json.loads(ledger.read_text())["tokens"]
    write_grid(place, endpoint, budget_tokens=int(1.7 * spent))  # the smoke test, and then not all of the study
    endpoint.serve(FIRST, SECOND, THIRD)
    assert "1 ready" in start_watch(place)["state"]["message"]
    run = newest(place, 2)
    assert "a look in the next month lets its study go on" in run["state"]["message"]
    assert status_of(place, THIRD) == "stopped"
    before = journaled(place, THIRD)
    assert before
    store = Store(Settings(home=place.home).store_url)
    remember(store, replace(recall(store, f"openai/{THIRD}"), since="2026-01-31T00:00:00+00:00"))
    write_grid(place, endpoint)
    assert start_watch(place)["state"]["message"] == "3 LLMs listed; 1 ready"
    run = newest(place, 3)
    assert run["state_type"] == "COMPLETED", run["state"]
    after = journaled(place, THIRD)
    assert after[: len(before)] == before and len(after) == len(set(after)) > len(before)
    assert status_of(place, THIRD) == "triggered"
    beside = {cell["generator"] for cell in results(place)["cells"]} - {None}
    assert beside == {f"openai/{name}" for name in (FIRST, SECOND, THIRD)}  # also one that a watch found itself


def test_a_provider_that_does_not_tell_ends_the_look_as_failed_and_retires_nobody(place, endpoint: Provider) -> None:
    endpoint.serve(status=500)
    run = start_watch(place)
    assert run["state_type"] == "FAILED"
    assert endpoint.url in run["state"]["message"]
    assert (status_of(place, FIRST), status_of(place, SECOND)) == ("studied", "triggered")
    [artifact] = place.api("artifacts/latest/filter", {"artifacts": {"key": {"like_": "synthgap-watch-mine"}}})
    [line] = json.loads(artifact["data"])
    assert (line["outcome"], line["provider"]) == ("no answer", endpoint.url)


def test_one_that_is_not_listed_and_answers_404_is_retired(place: Place, endpoint: Provider) -> None:
    endpoint.serve(FIRST, THIRD, status=200, gone=[SECOND])
    assert "1 retired" in start_watch(place)["state"]["message"]
    assert (status_of(place, FIRST), status_of(place, SECOND)) == ("studied", "retired")


def test_404_in_the_middle_of_a_study_fails_its_cells_and_retires_it(place: Place, endpoint: Provider) -> None:
    endpoint.serve(THIRD, gone=[FIRST, SECOND])
    run = place.ended(place.start("grid", rows_per_label=9))
    assert run["state_type"] == "FAILED"
    errors = {cell["error"] for cell in results(place)["cells"] if cell["generator"] == f"openai/{FIRST}"}
    assert all("does not serve this model, or not any more (status 404)" in error for error in errors) and errors
    assert status_of(place, FIRST) == "retired"
    again = place.ended(place.start("grid"))  # what it wrote before it went stays comparable
    assert again["state_type"] == "COMPLETED"
    assert any(row["generator"] == f"openai/{FIRST}" and row["gap"] for row in results(place)["comparisons"])


def test_one_that_is_listed_and_answers_again_comes_back_by_itself(place: Place, endpoint: Provider) -> None:
    endpoint.serve(SECOND, THIRD, gone=[FIRST])
    before = journaled(place, SECOND)
    assert start_watch(place)["state"]["message"] == "2 LLMs listed; 1 ready"
    run = newest(place, 4)
    assert (run["state_type"], run["parameters"]["model"]) == ("COMPLETED", f"openai/{SECOND}")
    assert journaled(place, SECOND) == before  # nothing was missing
    assert (status_of(place, FIRST), status_of(place, SECOND)) == ("retired", "triggered")


def test_what_was_changed_on_the_server_stays_and_what_has_no_file_goes(place: Place, endpoint: Provider) -> None:
    for name in ("paused", "early", "late"):
        write_watch(place, endpoint, name, schedule="0 5 * * *")
    until(lambda: {"paused", "early", "late"} <= names(place, "watch"), "the watches are registered")
    [schedule] = place.api("deployments/name/watch/new-llms")["schedules"]
    send(place, "PATCH", f"deployments/{schedule['deployment_id']}/schedules/{schedule['id']}", {"active": False})
    send(place, "POST", f"deployments/{place.api('deployments/name/watch/paused')['id']}/pause_deployment", {})
    grid = place.api("deployments/name/study/grid")["id"]
    weekly = {"schedule": {"cron": "0 3 * * 1"}, "active": True}
    send(place, "POST", f"deployments/{grid}/schedules", [weekly])
    [automation] = [item for item in place.api("automations/filter", {}) if item["name"] == REACTION]
    send(place, "PATCH", f"automations/{automation['id']}", {"enabled": False})

    (place.home / "watches" / "early.yaml").unlink()
    until(lambda: "early" not in names(place, "watch"), "its deployment is gone, too")
    place.synthgap("down")
    (place.home / "watches" / "late.yaml").unlink()
    (place.home / "studies" / "grid.yaml").rename(place.home / "studies" / "moved.yaml")
    place.up()

    assert names(place, "watch") == {"mine", "paused", "new-llms"}  # also one whose study is not found at the moment
    assert not place.api("deployments/name/watch/new-llms")["schedules"][0]["active"]
    assert place.api("deployments/name/watch/paused")["paused"]
    found = place.api("deployments/name/study/grid")
    assert (found["id"], found["parameters"]["study"]) == (grid, "moved")
    assert [item["schedule"]["cron"] for item in found["schedules"]] == ["0 3 * * 1"]
    assert "is switched off" in start_watch(place, "new-llms")["state"]["message"]


def test_no_key_is_on_disk(place: Place) -> None:
    leaks = [path for path in Path(place.home).rglob("*") if path.is_file() and b"sk-planted" in path.read_bytes()]
    assert leaks == []
