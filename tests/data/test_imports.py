"""Somebody else's rows, read from files and local folders in a hub repository's place."""

from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from tasks.config import ImportConfig, StudyConfig, load_study, parse
from tasks.data.imports import read_import
from tasks.errors import UserError
from tasks.records import Example
from tests.data.conftest import make_config

TASK = make_config()
ROWS = [("one ", "a"), ("two", "b")]


def config_of(path: Path, **more: object) -> ImportConfig:
    return ImportConfig.model_validate({"name": "theirs", "task": "toy", "file": str(path), **more})


def test_rows_come_by_their_own_columns_and_label_names(write_csv: Callable[..., Path]) -> None:
    path = write_csv("rows.tsv.csv", [(" one ", "x"), ("two", "y"), ("three", "z")], ("sms", "kind"))
    found = read_import(
        config_of(path, text="sms", label="kind", label_map={"x": "a", "y": "b"}, only_mapped=True), TASK
    )
    assert found == (Example("one", "a"), Example("two", "b"))


def test_a_hub_data_set_is_one_split_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "validation.jsonl").write_text('{"text": "one", "label": 0}\n{"text": "two", "label": 1}\n')
    item = ImportConfig.model_validate(
        {"name": "theirs", "task": "toy", "path": str(tmp_path / "d"), "split": "validation"}
        | {"label_map": {0: "a", 1: "b"}}
    )
    assert read_import(item, TASK) == (Example("one", "a"), Example("two", "b"))


@pytest.mark.parametrize(
    ("rows", "more", "words"),
    [
        (ROWS, {"text": "body"}, ["no column 'body'", "text, label"]),
        ([*ROWS, ("three", "c")], {}, ["'c' in row 3", "Allowed: a, b", "label_map"]),
        ([("one", "a")], {}, ["no row of label 'b'"]),
        ([], {}, ["no rows"]),
    ],
)
def test_what_does_not_fit_the_task_is_one_clear_message(rows, more, words, write_csv) -> None:
    with pytest.raises(UserError, match=r"^import 'theirs' of task 'toy': ") as error:
        read_import(config_of(write_csv("rows.csv", rows), **more), TASK)
    assert all(word in str(error.value) for word in words)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"import 'theirs'.*no such file.*gone\.csv"):
        read_import(config_of(tmp_path / "gone.csv"), TASK)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({}, "either file or path"),
        ({"file": "a.csv", "path": "b/c"}, "either file or path"),
        ({"file": "a.csv", "split": "test"}, "split is for a hub data set"),
        ({"file": "a.csv", "agreement": "x"}, "agreement"),
    ],
)
def test_an_import_has_one_place(place: dict[str, str], words: str) -> None:
    fields = {"name": "s", "tasks": ["toy"], "modes": ["imported"], "imports": [{"name": "x", "task": "toy", **place}]}
    with pytest.raises(UserError, match=words):
        parse(StudyConfig, fields, "study")


def test_its_file_is_relative_to_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "{name: s, tasks: [sms_spam], modes: [imported], imports: ["
        "{name: x, task: sms_spam, file: rows/x.csv}, {name: y, task: sms_spam, path: ./hub}, "
        "{name: z, task: sms_spam, path: a/b}]}"
    )
    one, two, three = load_study(tmp_path / "s.yaml").config.imports
    assert one.file == str(tmp_path / "rows" / "x.csv")
    assert two.path == str(tmp_path / "hub") and three.path == "a/b"
