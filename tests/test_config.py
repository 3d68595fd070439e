import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config import GeneratorConfig, Study, StudyConfig, load_study, parse
from tasks.errors import UserError, unknown

SHIPPED = sorted((Path(__file__).parent.parent / "deployments" / "studies").glob("*.yaml"))
MINIMAL = {"name": "s", "tasks": ["sms_spam"], "modes": ["real"]}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_study_parses_and_is_named_like_its_file(path: Path) -> None:
    study = load_study(path)
    assert study.config.name == path.stem
    assert study.folder == path.parent


def test_everything_but_name_tasks_and_modes_has_a_default() -> None:
    config = parse(StudyConfig, MINIMAL, "study")
    assert [generator.model for generator in config.generators] == ["embedded/smollm2-135m-instruct"]
    assert [classifier.model for classifier in config.classifiers] == ["embedded/minilm-l6"]


def test_a_generator_may_be_a_name_or_a_mapping() -> None:
    generators = ["openai/gpt-4o-mini", {"model": "openai/gpt-4o", "temperature": 0.5, "params": {"top_p": 0.9}}]
    config = parse(StudyConfig, {**MINIMAL, "generators": generators}, "study")
    assert [generator.model for generator in config.generators] == ["openai/gpt-4o-mini", "openai/gpt-4o"]
    assert config.generators[1].params == {"top_p": 0.9}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows_per_lable": 5}, ["rows_per_lable", "rows_per_label"]),
        ({"rows_per_label": 0}, ["rows_per_label", "0"]),
        ({"rows_per_label": "many"}, ["rows_per_label", "'many'"]),
        ({"seeds": [1, 1]}, ["seeds", "1 is listed twice"]),
        ({"tasks": []}, ["tasks"]),
        ({"synthesis_per": "day"}, ["synthesis_per", "'study' or 'seed'", "'day'"]),
        ({"name": "a/b"}, ["name", "a/b"]),
        ({"generators": [{"temperature": 1}]}, ["generators.0.model", "missing"]),
        ({"budget_usd": -1}, ["budget_usd", "-1"]),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(change: dict[str, object], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parse(StudyConfig, {**MINIMAL, **change}, "study x.yaml")
    assert "\n" not in str(error.value)
    for word in ["study x.yaml", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name: [", ["not valid YAML", "line"]),
        (b"- a\n- b\n", ["mapping", "list"]),
        (b"", ["mapping"]),
        (b"name: caf\xe9\n", ["UTF-8"]),
    ],
)
def test_a_file_that_is_no_study_is_one_clear_message(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_study(path)
    for word in ["s.yaml", *words]:
        assert word in str(error.value)


def test_a_missing_study_file_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.yaml"):
        load_study(tmp_path / "gone.yaml")


def test_a_local_model_folder_is_relative_to_the_study_file(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("{name: s, tasks: [sms_spam], modes: [real], classifiers: [./model, a/b]}")
    models = [classifier.model for classifier in load_study(path).config.classifiers]
    assert models == [str(tmp_path / "model"), "a/b"]


def test_a_study_survives_its_own_json() -> None:
    config = parse(StudyConfig, {**MINIMAL, "generators": [{"model": "openai/x", "params": {"top_p": 1}}]}, "study")
    assert StudyConfig.model_validate(config.model_dump(mode="json")) == config


def test_the_folder_of_relative_paths_is_absolute() -> None:
    with pytest.raises(UserError, match="absolute"):
        parse(Study, {"config": MINIMAL, "folder": "here"}, "study")


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.text())
def test_an_unknown_name_lists_all_allowed_ones(allowed: list[str], value: str) -> None:
    message = str(unknown("mode", value, allowed))
    assert all(name in message for name in allowed)
    assert repr(value) in message


@pytest.mark.parametrize(
    "secret",
    [
        {"api_base": "https://me:hunter2@host/v1"},
        {"api_base": "https://hunter2@host/v1"},
        {"params": {"api_key": "hunter2"}},
        {"params": {"headers": {"Authorization": "Bearer hunter2"}}},
    ],
)
def test_a_secret_in_a_study_is_refused_and_not_repeated(tmp_path: Path, secret: dict[str, object]) -> None:
    study = {**MINIMAL, "generators": [{"model": "openai/x", **secret}]}
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(study))
    with pytest.raises(
        UserError, match=r"s\.yaml: field 'generators\.0\.(api_base|params\.\w+)'.*environment"
    ) as caught:
        load_study(path)
    assert "hunter2" not in str(caught.value)


def test_an_address_without_a_login_is_no_secret() -> None:
    for address in ("https://host/v1", "http://127.0.0.1:8000/a@b", None):
        assert GeneratorConfig(model="openai/x", api_base=address, params={"top_p": 0.9}).api_base == address
