from pathlib import Path

import pytest
import yaml

from tasks.config import FileSource, HubSource, WheelSource
from tasks.data.catalog import find_task, names
from tasks.data.readers import READERS
from tasks.errors import UserError

MINE = {
    "name": "mine",
    "title": "Mine",
    "text": "a text",
    "context": "Imagine.",
    "labels": {"a": "about a", "b": "about b"},
    "sources": [{"kind": "files", "train": "rows/train.csv", "test": "/elsewhere/test.csv"}],
}


def write(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({**MINE, **changes}, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", names())
def test_every_catalog_task_is_complete(name: str, tmp_path: Path) -> None:
    task = find_task(name, tmp_path)
    assert task.name == name
    assert task.licence != "not stated" and task.citation and task.style
    for source in task.sources:
        assert not isinstance(source, FileSource)
        if isinstance(source, HubSource):
            assert set(source.label_map.values()) == set(task.labels)
        if isinstance(source, WheelSource):
            assert source.reader in READERS


def test_a_path_is_relative_to_the_study_and_its_files_to_the_task(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    write(tmp_path / "tasks" / "mine.yaml")
    source = find_task("tasks/mine.yaml", tmp_path).sources[0]
    assert isinstance(source, FileSource)
    assert source.train == str(tmp_path / "tasks" / "rows" / "train.csv")
    assert source.test == "/elsewhere/test.csv"


def test_an_id_means_the_catalog_and_a_path_the_file(tmp_path: Path) -> None:
    write(tmp_path / "sms_spam.yaml", name="sms_spam")
    (tmp_path / "sms_spam").mkdir()
    assert set(find_task("sms_spam", tmp_path).labels) == {"ham", "spam"}
    assert set(find_task("sms_spam.yaml", tmp_path).labels) == {"a", "b"}


def test_unknown_names_are_told_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'sms_spm'.*Did you mean 'sms_spam'.*headline_sarcasm.*path of a task YAML"):
        find_task("sms_spm", tmp_path)
    with pytest.raises(UserError, match=r"'./gone.yaml'.*no such file.*gone\.yaml.*sms_spam"):
        find_task("./gone.yaml", tmp_path)


def test_bare_numbers_and_truth_values_as_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml")
    text = path.read_text().replace("  a: about a\n  b: about b", "  0: about a\n  1: about b")
    path.write_text(text)
    assert set(find_task("mine.yaml", tmp_path).labels) == {"0", "1"}
    path.write_text(text.replace("  0:", "  yes:"))
    with pytest.raises(UserError, match=r"labels.*'yes' and 'no' in quotes"):
        find_task("mine.yaml", tmp_path)
