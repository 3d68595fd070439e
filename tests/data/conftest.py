"""Tasks and rows small enough to read, and the real rows that tests may use."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tasks.config import FileSource, TaskConfig
from tasks.records import Example, TaskData
from tasks.settings import Settings

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no real rows at {SHARED}")
    return SHARED


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data_dir=None)


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, rows: Iterable[tuple[object, ...]], header: tuple[str, ...] = ("text", "label")) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


def make_config(labels: Iterable[str] = ("a", "b"), **more: object) -> TaskConfig:
    values = {
        "name": "toy",
        "title": "A toy",
        "text": "a text",
        "context": "Imagine.",
        "labels": {label: f"a text about {label}" for label in labels},
        "sources": (FileSource(train="/nowhere.csv"),),
    }
    return TaskConfig.model_validate({**values, **more})


def make_data(counts: dict[str, int], test_counts: dict[str, int] | None = None) -> TaskData:
    train = tuple(Example(f"train {label} {i}", label) for label, n in counts.items() for i in range(n))
    test = tuple(Example(f"test {label} {i}", label) for label, n in (test_counts or counts).items() for i in range(n))
    return TaskData(make_config(counts), train, train[:1], test, "made up")
