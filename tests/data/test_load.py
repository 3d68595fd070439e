import csv
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.data.catalog import find_task, names
from tasks.data.load import load, read_data, save_data
from tasks.data.split import same_text
from tasks.errors import RunError
from tasks.settings import Settings
from tasks.store import Store
from tests.data.conftest import SHARED, make_config, make_data

FOLDERS = sorted(path.parent.name for path in SHARED.glob("*/train.csv")) if SHARED.is_dir() else []


def test_saved_rows_come_back_the_same(tmp_path: Path, settings: Settings) -> None:
    store = Store(str(tmp_path / "store"))
    data = load(find_task("movie_reviews", Path()), settings, 0.1)
    key = save_data(store, data)
    assert read_data(store, key) == data
    assert save_data(store, data) == key == read_data(store, key).key
    assert store.keys("data") == [key]


def test_key_is_the_rows_and_which_of_them_are_the_pool() -> None:
    one, other = make_data({"a": 5, "b": 5}), make_data({"a": 5, "b": 6})
    assert one.key == make_data({"a": 5, "b": 5}).key != other.key


def test_a_stored_task_keeps_the_order_of_its_labels(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    data = make_data({"z": 5, "a": 5})
    assert list(read_data(store, save_data(store, data)).task.labels) == ["z", "a"]


def test_an_edited_description_is_not_hidden_by_the_rows_stored_before(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    data = make_data({"a": 5, "b": 5})
    save_data(store, data)
    edited = data.task.model_copy(update={"labels": {"a": "about ants", "b": "about bees"}})
    assert read_data(store, save_data(store, replace(data, task=edited))).task.labels["a"] == "about ants"


def test_rows_that_are_not_in_the_store(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no real rows abc"):
        read_data(Store(str(tmp_path)), "abc")


@pytest.mark.parametrize("name", FOLDERS)
def test_every_task_of_the_data_directory(name: str, shared: Path, settings: Settings) -> None:
    with (shared / name / "test.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = {row["label"] for row in rows}
    sources = ({"kind": "hub", "path": "nobody/nothing"},)
    task = find_task(name, Path()) if name in names() else make_config(labels, name=name, sources=sources)
    assert set(task.labels) == labels
    data = load(task, settings.model_copy(update={"data_dir": shared}), 0.1)
    assert len(data.test) > 0.98 * len(rows)
    assert {same_text(row.text) for row in data.train}.isdisjoint(same_text(row.text) for row in data.test)
    assert {row.label for row in data.pool} == labels
    assert (name == "financial_phrasebank") == (data.train[0].agreement is not None)
