import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config import GeneratorConfig, Study, StudyConfig, TaskConfig, WatchConfig, load_study, parse
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


def test_fields_have_their_earlier_names_too() -> None:
    older = parse(StudyConfig, {**MINIMAL, "baselines": ["majority"], "baseline_rows": 50}, "study")
    assert older == parse(StudyConfig, {**MINIMAL, "untrained": ["majority"], "untrained_rows": 50}, "study")
    with pytest.raises(UserError, match="'baselines' is the old name of 'untrained': give one of them"):
        parse(StudyConfig, {**MINIMAL, "baselines": [], "untrained": []}, "study")


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
        ({"tasks": []}, ["tasks", "give at least 1"]),
        ({"seeds": 2}, ["seeds", "write a list", "2"]),
        ({"generators": {"model": "a/b"}}, ["generators", "write a list"]),
        ({"subjectivity": 3}, ["subjectivity", "write a mapping"]),
        ({"synthesis_per": "day"}, ["synthesis_per", "'study' or 'seed'", "'day'"]),
        ({"name": "a/b"}, ["name", "a/b", "letters, digits"]),
        ({"generators": [{"temperature": 1}]}, ["generators.0.model", "missing"]),
        ({"budget_usd": -1}, ["budget_usd", "-1"]),
        ({"name": 2026}, ["name", "write a text, in quotes", "2026"]),
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
        (b"", ["is empty"]),
        (b"name: a: b\n", ["line 1", "into quotes"]),
        (b"name: t\nlabels: {a: b, c: d}\n", ["is a task, not a study"]),
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


KEY = "sk-planted-0123456789abcdef"
TASK = {
    "name": "t",
    "title": "t",
    "text": "a note",
    "context": "c",
    "labels": {"a": "a note", "b": "another"},
    "sources": [{"kind": "files", "train": "t.csv"}],
}
WHEEL = {
    "kind": "wheel", "package": "some-pack", "version": "1.0", "sha256": "0" * 64, "members": ["x"],
    "reader": "sms_spam",
}  # fmt: skip


def refused(model: type, value: dict[str, object]) -> str:
    with pytest.raises(UserError) as caught:
        parse(model, value, "file x.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "value", "place"),
    [
        (StudyConfig, {**MINIMAL, "name": KEY}, "name"),
        (StudyConfig, {**MINIMAL, "rows_per_label": KEY}, "rows_per_label"),
        (StudyConfig, {**MINIMAL, "account": KEY}, "account"),
        (StudyConfig, {**MINIMAL, "generators": [{"model": "openai/x", "endpoint": KEY}]}, "generators.0.endpoint"),
        (StudyConfig, {**MINIMAL, "generators": [{"model": "x/y", "api_key_env": KEY}]}, "generators.0.api_key_env"),
        (StudyConfig, {**MINIMAL, "generators": [{"model": "openai/x", "api_base": f"https://h/v1?api_key={KEY}"}]},
         "generators.0.api_base"),
        (StudyConfig, {**MINIMAL, "generators": [{"model": "x/y", "params": {"extra_body": {"token": KEY}}}]},
         "generators.0.params.extra_body.token"),
        (StudyConfig, {**MINIMAL, "generators": [{"model": "x/y", "params": {"vertex_credentials": "{}"}}]},
         "generators.0.params.vertex_credentials"),
        (StudyConfig, {**MINIMAL, "classifiers": [KEY]}, "classifiers.0"),
        (StudyConfig, {**MINIMAL, "tasks": [f"./{KEY}.yaml"]}, "tasks.0"),
        (StudyConfig, {**MINIMAL, "imports": [{"name": "i", "task": "t", "file": f"s3://{KEY}@h/x.csv"}]},
         "imports.0.file"),
        (StudyConfig, {**MINIMAL, "subjectivity": {"annotators": [{"model": "x/y", "params": {"password": "p"}}]}},
         "subjectivity.annotators.0.params.password"),
        (WatchConfig, {"name": "w", "study": "s", "providers": [{"name": "m", "api_base": "http://u:pw@h/v1"}]},
         "providers.0.api_base"),
        (WatchConfig, {"name": "w", "study": "s", "providers": [KEY]}, "providers.0"),
        (TaskConfig, {**TASK, "style": f"such as {KEY}"}, "style"),
        (TaskConfig, {**TASK, "sources": [{"kind": "hub", "path": f"https://u:{KEY}@h/x"}]}, "sources.0.path"),
    ],
)  # fmt: skip
def test_a_secret_anywhere_is_refused_by_its_field_and_not_repeated(model, value, place: str) -> None:
    said = refused(model, value)
    assert f"field {place!r} holds what looks like a secret" in said and "environment" in said
    assert KEY not in said and "u:pw" not in said


def test_a_key_in_the_place_of_its_variables_name_is_not_repeated() -> None:
    generator = {"model": "openai/x", "api_key_env": "my short key"}
    said = refused(StudyConfig, {**MINIMAL, "generators": [generator]})
    assert "api_key_env must be the name of an environment variable" in said and "my short" not in said
    provider = {"name": "m", "api_key_env": "my short key"}
    said = refused(WatchConfig, {"name": "w", "study": "s", "providers": [provider]})
    assert "api_key_env must be the name of an environment variable" in said and "my short" not in said


def test_a_field_for_a_key_says_where_keys_belong() -> None:
    said = refused(StudyConfig, {**MINIMAL, "generators": [{"model": "openai/x", "api_key": "hunter2"}]})
    assert "generators.0.api_key" in said and "api_key_env" in said and "hunter2" not in said


@pytest.mark.parametrize(
    "comment", [f"# my key is {KEY}", "# asks http://me:hunter2@host/v1", "# AKIAIOSFODNN7EXAMPLE"]
)
def test_a_secret_in_a_comment_is_refused_by_its_line(tmp_path: Path, comment: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"{json.dumps(MINIMAL)}\n\n{comment}\n")
    with pytest.raises(UserError, match=r"s\.yaml: line 3 holds what looks like a secret") as caught:
        load_study(path)
    assert KEY not in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "host:8000/v1", "localhost", "ftp://host", "file:///etc/passwd", "http://", "http://host:99999", "http://[::1",
        "http://host/ v1", "http://host\\other", "https://host/v1#other", "http://host\n",
    ],
)  # fmt: skip
def test_what_is_no_address_of_an_endpoint_is_refused(address: str) -> None:
    said = refused(StudyConfig, {**MINIMAL, "generators": [{"model": "openai/x", "api_base": address}]})
    assert "write an address such as https://host/v1" in said


@pytest.mark.parametrize(
    "model",
    ["oobabooga/http://127.0.0.1:8000", "huggingface/https://host/x", "x/http:/y", "openai/../admin", "nlp_cloud/x?y=z",
     "openai/x#y", "a/%2e%2e/b", "a\\b/c"],
)  # fmt: skip
def test_a_models_name_leads_nowhere_else(model: str) -> None:
    said = refused(StudyConfig, {**MINIMAL, "generators": [model]})
    assert "generators.0" in said and ("holds an address" in said or "must not hold" in said)


@pytest.mark.parametrize(
    "model",
    ["openai/gpt-4o-mini", "ollama/llama3.2:1b", "vertex_ai/claude-3@20240620", "openai//models/my model (q4)",
     "bedrock/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2", "openai/ft:gpt-4o:me::Ab1"],
)  # fmt: skip
def test_names_of_models_as_people_have_them_pass(model: str) -> None:
    assert parse(StudyConfig, {**MINIMAL, "generators": [model]}, "study").generators[0].model == model


@pytest.mark.parametrize(
    "path", ["http://h/x.csv", "s3://b/x.csv", "zip://a.csv::http://h/x.zip", "a.csv::b", "~nobody-x/a.csv"]
)
def test_files_are_paths_of_this_machine(path: str) -> None:
    item = {"name": "i", "task": "t"}
    for model, value in (
        (StudyConfig, {**MINIMAL, "tasks": [path]}),
        (StudyConfig, {**MINIMAL, "imports": [{**item, "file": path}]}),
        (StudyConfig, {**MINIMAL, "imports": [{**item, "path": path}]}),
        (StudyConfig, {**MINIMAL, "subjectivity": {"judgements": path}}),
        (WatchConfig, {"name": "w", "study": path, "providers": ["openai"]}),
        (TaskConfig, {**TASK, "sources": [{"kind": "files", "train": path}]}),
        (TaskConfig, {**TASK, "sources": [{"kind": "files", "train": "a.csv", "test": path}]}),
        (TaskConfig, {**TASK, "sources": [{"kind": "hub", "path": path}]}),
    ):
        assert "must be" in refused(model, value) or "~" in refused(model, value)


@pytest.mark.parametrize("path", ["stanfordnlp/imdb", "imdb", "./rows", "../rows", "/data/rows"])
def test_hub_names_and_folders_pass(path: str) -> None:
    task = parse(TaskConfig, {**TASK, "sources": [{"kind": "hub", "path": path}]}, "task")
    assert task.sources[0].path == path


@pytest.mark.parametrize(
    "path", ["hf://buckets/a/b", "a/b/c", "../../etc@x\0", ".hidden", "a/../b", "-x/y", "~/rows", ""]
)
def test_what_is_neither_a_hub_name_nor_a_folder_is_refused(path: str) -> None:
    refused(TaskConfig, {**TASK, "sources": [{"kind": "hub", "path": path}]})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("package", value) for value in (
            "-rhttp://127.0.0.1:1/x", "--index-url=http://h", "x @ http://h/x.whl", "./x", "x[y]", "x;y", "x\n-r y", "",
            "git+https://h/x", "x==1", "x y",
        )),
        *(("version", value) for value in ("1.0 -r x", "*", "1.*", ">=1", "1.0\n--pre", "", "http://h", "1.0; x")),
        ("sha256", "x"),
    ],
)  # fmt: skip
def test_a_package_is_a_name_and_a_version(field: str, value: str) -> None:
    assert f"sources.0.wheel.{field}" in refused(TaskConfig, {**TASK, "sources": [{**WHEEL, field: value}]})


def test_shipped_wheels_are_names_and_versions() -> None:
    task = parse(TaskConfig, {**TASK, "sources": [{**WHEEL, "package": "A.b-C_d", "version": "3.0.1.post1"}]}, "task")
    assert task.sources[0].package == "A.b-C_d"


BOMB = "".join(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"a: &a [x, x]\n{BOMB}", "holds more than 200000 values"),
        ("".join(f"{n}: &{n} {{<<: [{', '.join([f'*{b}'] * 9)}]}}\n" for b, n in pairwise("abcdefghi")).replace(
            "b: ", "a: &a {x: 1}\nb: ", 1), "holds more than 200000 values"),
        ("a: &a [*a]\n", "an alias is inside the value that it stands for"),
        ("a: " + "[" * 5000 + "]" * 5000, "nests deeper than 40"),
        ("a: " + "{x: " * 5000, "nests deeper than 40"),
        ("a: " + "9" * 5000, "holds a value that YAML cannot read"),
        ("a: 2024-02-31", "holds a value that YAML cannot read"),
        ("a: '" + "x" * 5_000_000 + "'", "is larger than 4 MiB"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
    ids=["aliases", "merges", "itself", "lists", "mappings", "digits", "date", "size", "object"],
)  # fmt: skip
def test_a_file_that_blows_up_is_refused_at_once(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        load_study(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_aliases_as_people_use_them_pass(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "{name: s, tasks: [sms_spam], modes: [real], generators: [&g {model: openai/x, temperature: 1.0}], "
        "subjectivity: {annotators: [*g], judges: [{<<: *g, model: openai/y}]}}"
    )
    asked = load_study(path).config.subjectivity
    assert asked and asked.annotators[0].temperature == asked.judges[0].temperature == 1.0


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text('{name: s, tasks: [sms_spam], modes: [real], subjectivity: {personas: ["half \\ud83d"]}}')
    with pytest.raises(UserError, match="an invalid character"):
        load_study(path)
