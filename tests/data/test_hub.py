"""Hub data sets, read for real from local folders, which the hub's library takes in a repository's place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from tasks.config import HubSource
from tasks.data.catalog import find_task, names
from tasks.data.load import load, read
from tasks.errors import UserError
from tasks.records import TaskData
from tasks.settings import Settings
from tests.data.conftest import make_config


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write(folder: Path, split: str, rows: list[dict[str, object]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))


def load_from(folder: Path, name: str, settings: Settings) -> TaskData:
    """The catalog task's own hub source, with the folder in place of the repository."""
    task = find_task(name, Path())
    source = next(source for source in task.sources if isinstance(source, HubSource))
    local = source.model_copy(update={"path": str(folder), "config": None, "revision": None, "train": "train"})
    return load(task.model_copy(update={"sources": (local,)}), settings, 0.2)


def test_sms_spam_by_its_hub_columns(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "d", "train", [{"sms": f"message {i}\n", "label": i % 2} for i in range(20)])
    data = load_from(tmp_path / "d", "sms_spam", settings)
    assert {row.label for row in data.train if int(row.text.split()[1]) % 2} == {"spam"}
    assert len(data.test) == 4
    assert data.source.startswith("hub ") and "(not pinned)" in data.source


def test_headlines_by_their_hub_columns_leave_the_overlapping_test_split(tmp_path: Path, settings: Settings) -> None:
    rows = [{"headline": f"headline {i}", "is_sarcastic": i % 2, "article_link": ""} for i in range(20)]
    write(tmp_path / "d", "train", rows)
    write(tmp_path / "d", "test", rows[:15])
    data = load_from(tmp_path / "d", "headline_sarcasm", settings)
    assert len(data.train) + len(data.test) == 20
    assert {row.label for row in data.test} == {"sarcastic", "not_sarcastic"}


def test_class_labels_have_their_own_names(tmp_path: Path, settings: Settings) -> None:
    features = Features({"text": Value("string"), "label": Sequence(ClassLabel(names=["a", "b"]))})
    rows = {"text": ["one", "two", "three"], "label": [[0], [1], [0, 1]]}
    (tmp_path / "d").mkdir()
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "d" / "train.parquet")
    found = read(make_config(sources=({"kind": "hub", "path": str(tmp_path / "d"), "test": None},)), settings)
    assert [(row.text, row.label) for row in found.train] == [("one", "a"), ("two", "b")]
    assert found.notes == ("1 rows of train left out by their label",)


def test_columns_and_splits_that_are_not_there(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "d", "train", [{"text": "one", "kind": "a"}])
    source = {"kind": "hub", "path": str(tmp_path / "d"), "test": None}
    with pytest.raises(UserError, match=r"split 'train': no column 'label' for the label. Columns found: text, kind"):
        read(make_config(sources=(source,)), settings)
    with pytest.raises(UserError, match=r"split 'dev': .*dev"):
        read(make_config(sources=({**source, "train": "dev"},)), settings)


UNREACHABLE = """
from pathlib import Path
from tasks.config import HubSource
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.errors import RunError
from tasks.settings import Settings
task = find_task("sms_spam", Path())
task = task.model_copy(update={"sources": tuple(s for s in task.sources if isinstance(s, HubSource))})
try:
    load(task, Settings(home=Path("/nowhere"), data_dir=None), 0.1)
except RunError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "env",
    [
        {"HF_HUB_OFFLINE": "1"},
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:9"}, marks=pytest.mark.slow),  # the library retries for long
    ],
)
def test_a_hub_out_of_reach_is_one_clear_line(env: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNREACHABLE],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120, check=False,
        env={**os.environ, "HF_HOME": str(tmp_path), **env},
    )  # fmt: skip
    assert "'ucirvine/sms_spam'" in done.stdout and "SYNTHGAP_DATA_DIR" in done.stdout, done.stderr
    assert "sms_spam/train.csv" in done.stdout and done.stdout.count("\n") == 1


LABEL_COLUMNS: dict[str, tuple[str, str, list[object]]] = {
    "ag_news": ("text", "label", [0, 1, 2, 3]),
    "imdb": ("text", "label", [0, 1]),
    "financial_phrasebank": ("text", "label", [0, 1, 2]),
    "relation": ("tokens", "relation", ["P17", "P118", "P58", "P974"]),
    "tweet_irony": ("text", "label", [0, 1]),
    "tweet_emotion": ("text", "label", [0, 1, 2, 3]),
    "humor": ("text", "humor", [False, True]),
    "reddit_emotion": ("text", "labels", [[i] for i in range(28)]),
    "reddit_emotion_ekman": ("text", "labels", [[i] for i in range(28)]),
}
"""Columns and raw label values of the hub data sets, as their cards give them."""


def test_every_hub_source_of_the_catalog_is_tried() -> None:
    listed = [find_task(name, Path()) for name in names()]
    hub = {task.name for task in listed if any(isinstance(source, HubSource) for source in task.sources)}
    assert hub == {*LABEL_COLUMNS, "sms_spam", "headline_sarcasm"}  # these two have tests of their own


@pytest.mark.parametrize("name", LABEL_COLUMNS)
def test_tasks_by_the_columns_of_their_hub_data_sets(name: str, tmp_path: Path, settings: Settings) -> None:
    text, label, values = LABEL_COLUMNS[name]
    source = find_task(name, Path()).sources[0]
    assert isinstance(source, HubSource)

    def rows(split: str) -> list[dict[str, object]]:
        found = [(f"{split} {i} of {value}", value) for value in values for i in range(4)]
        found += [("two of them", [2, 27])] if label == "labels" else []
        found += [("another relation", "P31")] if label == "relation" else []
        return [{text: t.split() if text == "tokens" else t, label: value} for t, value in found]

    for split in filter(None, ("train", source.test)):
        write(tmp_path / "d", split, rows(split))
    data = load_from(tmp_path / "d", name, settings)
    assert len(data.train) + len(data.test) == len(values) * 4 * (2 if source.test else 1)
    for row in data.train:
        raw = row.text.split(" of ")[1].strip("[]")
        assert row.label == source.label_map[raw]


def test_two_emotions_of_one_group_are_one_label(tmp_path: Path, settings: Settings) -> None:
    source = find_task("reddit_emotion_ekman", Path()).sources[0]
    assert isinstance(source, HubSource)
    write(tmp_path / "d", "train", [{"text": "cross", "labels": [2, 3]}, {"text": "mixed", "labels": [2, 17]}])
    local = source.model_copy(update={"path": str(tmp_path / "d"), "config": None, "revision": None, "test": None})
    found = read(find_task("reddit_emotion_ekman", Path()).model_copy(update={"sources": (local,)}), settings)
    assert [(row.text, row.label) for row in found.train] == [("cross", "anger")]


@pytest.mark.parametrize("name", ["csv", "json", "text", "pandas"])
def test_a_format_is_no_data_set(name: str, settings: Settings) -> None:
    source = {"kind": "hub", "path": name}
    with pytest.raises(UserError, match=f"'{name}' is a format, not a data set"):
        read(make_config(sources=(source,)), settings)
