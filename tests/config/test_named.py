"""Study and watch files by name: shipped ones, the user's own, and what a wrong name or file says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.config import load_watch, named
from tasks.errors import UserError
from tasks.settings import Settings
from tests.watch_files import write


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


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
