"""A watch as a user has it: ``synthgap up``, a provider that serves a new LLM, and the study that runs by itself.

The tests are one story, told in the order of the file.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.automations import REACTION
from tasks.discovery.memory import recall
from tasks.settings import Settings
from tasks.store import Store
from tests.flows.test_operations_live import Place, free_port, until, write_study
from tests.provider import Provider, provider

pytestmark = pytest.mark.slow

FIRST, SECOND = "first", "second"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Provider]:
    with provider(latency=0.02) as running:
        running.serve(FIRST)
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, endpoint: Provider) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("home"), free_port(), free_port())
    first = {"model": f"openai/{FIRST}", "api_base": endpoint.url}
    write_study(place.home, endpoint, "grid", generators=[first], seeds=[0, 1])
    watch = {
        "name": "mine",
        "study": "grid",
        "providers": [{"name": "mine", "api_base": endpoint.url}],
        "unknown_prices": True,
        "schedule": None,
    }
    (place.home / "watches").mkdir()
    (place.home / "watches" / "mine.yaml").write_text(json.dumps(watch))
    process = place.up()
    yield place
    place.synthgap("down")
    process.wait(60)


def start_watch(place: Place) -> dict[str, Any]:
    deployment = place.api("deployments/name/watch/mine")
    run = place.api(f"deployments/{deployment['id']}/create_flow_run", {})
    return place.ended(run["id"])


def newcomers(place: Place) -> list[dict[str, Any]]:
    return list(place.api("flow_runs/filter", {"flows": {"name": {"any_": ["newcomer"]}}}))


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
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "1 LLMs listed; nothing new")
    assert endpoint.stats()["asked"] == asked
    assert status_of(place, FIRST) == "studied"


def test_a_new_llm_is_run_through_the_study_and_nobody_else_is_asked(place: Place, endpoint: Provider) -> None:
    endpoint.serve(FIRST, SECOND)
    before = endpoint.stats()["asked_of"]
    assert "1 ready" in start_watch(place)["state"]["message"]
    [run] = until(lambda: newcomers(place), "the automation started the study")
    assert run["parameters"] == {"watch": "mine", "model": f"openai/{SECOND}"}
    ended = place.ended(run["id"])
    assert ended["state_type"] == "COMPLETED", ended["state"]
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
    assert len(newcomers(place)) == 1
    assert endpoint.stats()["asked"] == asked


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
    endpoint.serve(FIRST, status=200, gone=[SECOND])
    assert "1 retired" in start_watch(place)["state"]["message"]
    assert (status_of(place, FIRST), status_of(place, SECOND)) == ("studied", "retired")


def test_404_in_the_middle_of_a_study_fails_its_cells_and_retires_it(place: Place, endpoint: Provider) -> None:
    endpoint.serve(gone=[FIRST, SECOND])
    run = place.ended(place.start("grid", rows_per_label=9))
    assert run["state_type"] == "FAILED"
    errors = {cell["error"] for cell in results(place)["cells"] if cell["generator"] == f"openai/{FIRST}"}
    assert all("does not serve this model, or not any more (status 404)" in error for error in errors) and errors
    assert status_of(place, FIRST) == "retired"
    again = place.ended(place.start("grid"))  # what it wrote before it went stays comparable
    assert again["state_type"] == "COMPLETED"
    assert any(row["generator"] == f"openai/{FIRST}" and row["gap"] for row in results(place)["comparisons"])


def test_no_key_is_on_disk(place: Place) -> None:
    leaks = [path for path in Path(place.home).rglob("*") if path.is_file() and b"sk-planted" in path.read_bytes()]
    assert leaks == []
