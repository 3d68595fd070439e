"""The form of a study: what it shows of the study's file, and what its values make of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.utilities.callables import parameter_schema

from flows.deployed import check_version
from flows.deployed import study as deployed
from flows.overrides import form_values, overridden
from tasks.config import Study, load_study, named
from tasks.data import catalog
from tasks.errors import UserError
from tasks.generation.modes import MODES
from tasks.settings import Settings

HOT = {"model": "openai/m", "temperature": 1.0, "api_base": "http://localhost:1/v1"}
COLD = {"model": "openai/m", "temperature": 0.1}


def write(folder: Path, name: str = "mine", **change: Any) -> Path:
    config = {
        "name": name,
        "tasks": ["./tickets.yaml", "sms_spam"],
        "modes": ["real", "few_shot"],
        "generators": [HOT, COLD, "embedded/smollm2-135m-instruct"],
        "classifiers": [{"model": "embedded/minilm-l6", "epochs": 9}],
        **change,
    }
    path = folder / f"{name}.yaml"
    path.write_text(f"# First line,\n# second line.\n{json.dumps(config)}")
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Study:
    return load_study(write(tmp_path))


def test_a_form_shows_what_the_file_says(mine: Study) -> None:
    values = form_values(mine)
    assert (values["tasks"], values["own_tasks"]) == (["sms_spam"], ["./tickets.yaml"])
    assert values["generators"] == ["openai/m", "embedded/smollm2-135m-instruct"]
    assert values["budget_usd"] == 1.0
    json.dumps(values)


def test_a_form_sent_as_it_is_changes_nothing(mine: Study) -> None:
    assert overridden(mine, form_values(mine), mine.folder) == mine


def test_a_name_of_the_file_keeps_what_the_file_says_about_it(mine: Study) -> None:
    changed = overridden(mine, {**form_values(mine), "generators": ["openai/new", "openai/m"]}, mine.folder)
    assert [item.model_dump(exclude_defaults=True) for item in changed.config.generators] == [
        {"model": "openai/new"},
        HOT,
        COLD,
    ]


@given(
    seeds=st.lists(st.integers(0, 99), min_size=1, unique=True),
    rows=st.integers(1, 10_000),
    budget=st.none() | st.floats(0, 100),
    tolerance=st.floats(0.001, 0.99),
    tasks=st.lists(st.sampled_from(catalog.names()), min_size=1, unique=True),
)
def test_what_a_form_says_is_what_is_run(tmp_path_factory, seeds, rows, budget, tolerance, tasks) -> None:
    study = load_study(write(tmp_path_factory.mktemp("study")))
    given_values = {"seeds": seeds, "rows_per_label": rows, "budget_usd": budget, "tolerance": tolerance}
    config = overridden(
        study, {**form_values(study), **given_values, "tasks": tasks, "own_tasks": []}, study.folder
    ).config
    assert config.model_dump(mode="json", include=set(given_values)) == given_values
    assert set(config.tasks) == set(tasks) and len(config.tasks) == len(tasks)
    assert config.classifiers == study.config.classifiers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": [], "own_tasks": []}, "tasks"),
        ({"seeds": [1, 1]}, "listed twice"),
        ({"generators": ["a/b", "a/b"]}, "listed twice"),
        ({"tolerance": 2.0}, "tolerance"),
    ],
)
def test_a_value_that_cannot_be_used_is_one_message(mine: Study, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        overridden(mine, {**form_values(mine), **change}, mine.folder)


def test_every_field_of_the_form_is_described_and_typed() -> None:
    fields = parameter_schema(deployed).properties
    assert next(iter(fields)) == "study"
    assert all(field["description"].strip() for field in fields.values())
    assert fields["tasks"]["items"]["enum"] == catalog.names()
    assert set(fields["modes"]["items"]["enum"]) == set(MODES)
    assert fields["rows_per_label"]["exclusiveMinimum"] == 0
    assert "enum" not in fields["generators"]["items"]  # any LLM may be named
    assert {branch["type"] for branch in fields["budget_usd"]["anyOf"]} == {"number", "null"}


def test_a_form_has_a_field_for_each_value_and_no_other(mine: Study) -> None:
    assert set(parameter_schema(deployed).properties) == {"study", *form_values(mine)}


def test_a_list_that_may_be_empty_may_be_left_out_as_forms_do() -> None:
    assert {"tasks", "own_tasks"}.isdisjoint(parameter_schema(deployed).required)
    names = {name: ["x"] for name in ("modes", "generators", "classifiers")}
    given = {"study": "x", **names, "seeds": [0], "rows_per_label": 1, "budget_usd": None, "tolerance": 0.1}
    assert deployed.validate_parameters(given)["own_tasks"] == []


def test_a_file_of_the_user_s_hides_a_shipped_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert named.find_studies(settings)["quickstart"].parent == named.SHIPPED / named.STUDIES
    (tmp_path / "studies" / "quickstart").mkdir(parents=True)  # results are kept here too
    own = write(tmp_path / "studies", "quickstart")
    assert named.find_studies(settings)["quickstart"] == own
    assert named.named_study("quickstart", settings).config.seeds == (0, 1, 2)


def test_an_unknown_study_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'nope'.*quickstart"):
        named.read_study("nope", Settings(home=tmp_path))


def test_a_form_of_an_older_file_is_refused(monkeypatch, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    check_version("quickstart", settings)  # a run without a deployment has no version
    monkeypatch.setenv(
        "PREFECT__RUNTIME__DEPLOYMENT__VERSION", named.fingerprint(named.SHIPPED / named.STUDIES / "quickstart.yaml")
    )
    check_version("quickstart", settings)
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__VERSION", "00000000")
    with pytest.raises(UserError, match="'quickstart' changed"):
        check_version("quickstart", settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"generators": ["oobabooga/http://127.0.0.1:8000"]}, "holds an address"),
        ({"generators": ["huggingface/https://host/x"]}, "holds an address"),
        ({"generators": ["sk-planted-0123456789abcdef"]}, "looks like a secret"),
        ({"own_tasks": ["/etc/passwd"]}, "'/etc/passwd' is neither in the study's folder nor"),
        ({"own_tasks": ["{outside}/mine.yaml"]}, "neither in the study's folder"),
        ({"own_tasks": ["../outside/mine.yaml"]}, "neither in the study's folder"),
        ({"own_tasks": ["./link.yaml"]}, "neither in the study's folder"),
        ({"own_tasks": ["~nobody-x/mine.yaml"]}, "neither in the study's folder"),
        ({"tasks": ["{outside}/mine.yaml"]}, "neither in the study's folder"),
        ({"classifiers": ["{outside}/model"]}, "neither in the study's folder"),
        ({"classifiers": ["probe/../outside/model"]}, "neither in the study's folder"),
        ({"own_tasks": ["http://127.0.0.1:1/mine.yaml"]}, "must be a path on this machine"),
    ],
)
def test_a_form_leads_to_no_address_and_no_other_folder(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.yaml").write_text("password: hunter2")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "link.yaml").symlink_to(outside / "mine.yaml")
    study = load_study(write(tmp_path / "studies"))
    change = {name: [value.replace("{outside}", str(outside)) for value in values] for name, values in change.items()}
    with pytest.raises(UserError, match=words) as caught:
        overridden(study, {**form_values(study), **change}, tmp_path / "studies")
    assert "hunter2" not in str(caught.value) and "planted" not in str(caught.value)


def test_a_form_may_name_what_lies_in_the_studys_folder_and_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in ("studies", "home"):
        (tmp_path / folder).mkdir()
    study = load_study(write(tmp_path / "studies"))
    values = {
        "own_tasks": ["./new.yaml", f"{home}/tasks/other.yaml"],
        "classifiers": ["./model", f"probe/{home}/m", "a/b"],
    }
    changed = overridden(study, {**form_values(study), **values}, home).config
    assert set(values["own_tasks"]) <= set(changed.tasks)
    models = [item.model for item in changed.classifiers]
    assert models == [str(tmp_path / "studies" / "model"), f"probe/{home}/m", "a/b"]
