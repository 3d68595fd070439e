from dataclasses import replace
from pathlib import Path

import pytest

from tasks.data.catalog import find_task, names
from tasks.data.load import load, read_data, save_data
from tasks.data.split import same_text
from tasks.errors import RunError
from tasks.records import count_labels
from tasks.settings import Settings
from tasks.store import Store
from tests.data.conftest import make_data


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


@pytest.mark.parametrize("name", ["manifest.json", "rows.jsonl"])
def test_damaged_rows_are_stored_again(name: str, tmp_path: Path) -> None:
    store, data = Store(str(tmp_path)), make_data({"a": 5, "b": 5})
    key = save_data(store, data)
    path = tmp_path / "data" / key / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RunError, match=f"has no real rows {key}; run the study again"):
        read_data(store, key)
    assert save_data(store, data) == key and read_data(store, key) == data


def test_rows_that_are_not_in_the_store(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no real rows abc"):
        read_data(Store(str(tmp_path)), "abc")


SIZES = {
    "ag_news": (6311, 4000),
    "relation": (490, 122),
    "imdb": (6000, 3000),
    "sms_spam": (4103, 1025),
    "financial_phrasebank": (3866, 967),
    "reddit_emotion": (12000, 4000),
    "reddit_emotion_ekman": (12000, 4000),
    "tweet_irony": (2860, 784),
    "tweet_emotion": (3225, 1421),
    "headline_sarcasm": (12000, 4000),
    "humor": (12000, 4000),
}
"""Training and test rows of the data directory: the paper's ten tasks, and one of them with fewer labels."""


@pytest.mark.parametrize("name", SIZES)
def test_every_task_of_the_paper_out_of_the_data_directory(
    name: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHGAP_DATA_DIR", str(shared))
    data = load(find_task(name, Path()), Settings(home=tmp_path), 0.1, 10)
    train, test = SIZES[name]
    assert 0.98 * train < len(data.train) <= train and 0.98 * test < len(data.test) <= test
    assert {same_text(row.text) for row in data.train}.isdisjoint(same_text(row.text) for row in data.test)
    for rows in (data.train, data.pool, data.test):
        assert {row.label for row in rows} == set(data.task.labels)
    assert max(count_labels(data.pool, data.task.labels).values()) == 10
    assert (name == "financial_phrasebank") == (data.train[0].agreement is not None)


def test_the_sizes_are_those_of_catalog_tasks_in_the_data_directory(shared: Path) -> None:
    assert set(SIZES) == {path.parent.name for path in shared.glob("*/train.csv")} & set(names())
