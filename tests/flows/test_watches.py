"""Watch files: registered with their schedule, and the automation that answers their event."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from prefect.server.events.actions import RunDeployment

from flows.new_llm import newcomer
from flows.operations.automations import EVENT, new_llm_automation
from flows.operations.deployments import watch_deployment, watch_deployments
from flows.operations.registration import register
from flows.watch import watch
from tasks.config.named import find_watches
from tasks.discovery.memory import Known, recall, remember
from tasks.errors import UserError
from tasks.settings import Settings
from tasks.store import Store
from tests.watch_files import write


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_a_deployment_has_the_schedule_and_says_who_is_asked(settings: Settings) -> None:
    write(settings.home, schedule="0 7 * * 1", timezone="Europe/Berlin")
    write(settings.home, "broken", study="nothing")
    write(settings.home, "silent", schedule=None)
    entries, [complaint] = watch_deployments(find_watches(settings), settings)
    by_name = {entry["name"]: entry for entry in entries}
    assert by_name["mine"]["schedules"] == [{"cron": "0 7 * * 1", "timezone": "Europe/Berlin"}]
    assert by_name["mine"]["description"] == "Looks for new ones.\n\n- Asks: embedded\n- Study: quickstart"
    assert by_name["silent"]["schedules"] == []
    assert "nothing" in complaint


def test_a_schedule_that_cannot_be_is_refused_before_anything_is_registered(settings: Settings) -> None:
    path = write(settings.home, schedule="every morning")
    entry = watch_deployment("mine", path, settings)
    with pytest.raises(UserError, match="every morning"):
        register(entry)


@pytest.mark.parametrize("flow", [watch, newcomer])
def test_a_deployment_fills_in_what_its_flow_takes(flow: Any, settings: Settings) -> None:
    fields = set(flow.parameters.properties)
    if flow is watch:
        assert fields == set(watch_deployments(find_watches(settings), settings)[0][0]["parameters"])
    else:
        assert fields == set(new_llm_automation(uuid.uuid4()).actions[0].parameters)


def test_a_study_that_cannot_begin_is_one_line_and_goes_on_at_the_next_look(settings, monkeypatch, log) -> None:
    monkeypatch.setenv("SYNTHGAP_HOME", str(settings.home))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write(settings.home, providers=["openai"])
    store = Store(settings.store_url)
    remember(store, Known("openai/gpt-4o-mini", "openai", "triggered", "2026-11-01", 1))
    ended = newcomer.fn("mine", "openai/gpt-4o-mini")
    known = recall(store, "openai/gpt-4o-mini")
    assert (ended.type, known.status, known.attempts) == ("FAILED", "broken", 2)
    assert "OPENAI_API_KEY" in ended.message == known.note
    assert (log.count("loaded sms_spam:"), log.count("planned ")) == (1, 1)


def test_the_automation_runs_one_deployment_with_what_the_event_says() -> None:
    wanted = new_llm_automation(uuid.uuid4())
    assert wanted.trigger.expect == {EVENT}
    [action] = wanted.actions
    assert RunDeployment.model_validate(action.model_dump()).parameters == {
        "watch": "{{ event.payload.watch }}",
        "model": "{{ event.payload.model }}",
    }
