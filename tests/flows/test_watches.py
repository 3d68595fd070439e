"""Watch files: found by name, registered with their schedule, and the automation that answers their event."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from prefect.server.events.actions import RunDeployment

from flows.new_llm import newcomer
from flows.operations import deployments
from flows.operations.automations import EVENT, reaction
from flows.operations.registration import register
from flows.watch import watch
from tasks.config import load_watch, named
from tasks.discovery.memory import Known, recall, remember
from tasks.errors import UserError
from tasks.settings import Settings
from tasks.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def write(home: Path, name: str = "mine", **change: Any) -> Path:
    config = {"name": name, "study": "quickstart", "providers": ["embedded"], **change}
    path = home / "watches" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"# Looks for new ones.\n{json.dumps(config)}")
    return path


@pytest.mark.parametrize("name", named.shipped_watches())
def test_a_shipped_watch_can_be_used(name: str, settings: Settings) -> None:
    config, study = named.named_watch(name, settings)
    assert config.name == name
    assert study.config.name == config.study


def test_a_file_of_the_user_s_hides_a_shipped_one(settings: Settings) -> None:
    own = write(settings.home, "new-llms", schedule=None)
    assert named.find_watches(settings)["new-llms"] == own
    assert named.named_watch("new-llms", settings)[0].schedule is None


def test_a_study_is_a_path_from_the_file_or_a_name(settings: Settings) -> None:
    study = {"name": "beside", "tasks": ["sms_spam"], "modes": ["few_shot"]}
    path = write(settings.home, study="../beside.yaml")
    (settings.home / "beside.yaml").write_text(json.dumps(study))
    assert named.study_of(load_watch(path), path, settings).config.name == "beside"
    path = write(settings.home, study="beside")
    with pytest.raises(UserError, match=r"'beside'.*quickstart"):
        named.study_of(load_watch(path), path, settings)


def test_an_unknown_watch_names_those_that_there_are(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"'new-llm'. Did you mean 'new-llms'"):
        named.named_watch("new-llm", settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timezone": "Mars/Base"}, "time zone"),
        ({"providers": []}, "providers"),
        ({"monthly_budget_usd": -1}, "budget"),
    ],
)
def test_what_cannot_be_is_one_message(settings: Settings, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_watch(write(settings.home, **change))


def test_a_deployment_has_the_schedule_and_says_who_is_asked(settings: Settings) -> None:
    write(settings.home, schedule="0 7 * * 1", timezone="Europe/Berlin")
    write(settings.home, "broken", study="nothing")
    write(settings.home, "silent", schedule=None)
    entries, [complaint] = deployments.watch_definitions(settings)
    by_name = {entry["name"]: entry for entry in entries}
    assert by_name["mine"]["schedules"] == [{"cron": "0 7 * * 1", "timezone": "Europe/Berlin"}]
    assert by_name["mine"]["description"] == "Looks for new ones.\n\n- Asks: embedded\n- Study: quickstart"
    assert by_name["silent"]["schedules"] == []
    assert "nothing" in complaint


def test_a_schedule_that_cannot_be_is_refused_before_anything_is_registered(settings: Settings) -> None:
    write(settings.home, schedule="every morning")
    entry = next(entry for entry in deployments.watch_definitions(settings)[0] if entry["name"] == "mine")
    with pytest.raises(UserError, match="every morning"):
        register(entry)


@pytest.mark.parametrize("flow", [watch, newcomer])
def test_a_deployment_fills_in_what_its_flow_takes(flow: Any, settings: Settings) -> None:
    fields = set(flow.parameters.properties)
    if flow is watch:
        assert fields == set(deployments.watch_definitions(settings)[0][0]["parameters"])
    else:
        assert fields == set(reaction(uuid.uuid4()).actions[0].parameters)


def test_a_study_that_cannot_begin_is_one_line_and_goes_on_at_the_next_look(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("SYNTHGAP_HOME", str(settings.home))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write(settings.home, providers=["openai"])
    store = Store(settings.store_url)
    remember(store, Known("openai/gpt-4o-mini", "openai", "triggered", "2026-11-01", 1))
    ended = newcomer.fn("mine", "openai/gpt-4o-mini")
    known = recall(store, "openai/gpt-4o-mini")
    assert (ended.type, known.status, known.attempts) == ("FAILED", "broken", 2)
    assert "OPENAI_API_KEY" in ended.message == known.note


def test_the_automation_runs_one_deployment_with_what_the_event_says() -> None:
    wanted = reaction(uuid.uuid4())
    assert wanted.trigger.expect == {EVENT}
    [action] = wanted.actions
    assert RunDeployment.model_validate(action.model_dump()).parameters == {
        "watch": "{{ event.payload.watch }}",
        "model": "{{ event.payload.model }}",
    }
