"""Real rows of a task: the first source that is available here, cleaned and split; and their place in the store.

No slow import happens here: the hub's library is imported only when a hub data set is read.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tasks.config import FileSource, HubSource, Source, TaskConfig
from tasks.data.sources.directory import folder_of, read_folder
from tasks.data.sources.files import read_files
from tasks.data.sources.hub import read_hub
from tasks.data.sources.reading import Reading, UnavailableError
from tasks.data.sources.wheel import read_wheel
from tasks.data.split import split
from tasks.errors import RunError
from tasks.records import Example, TaskData, count_labels
from tasks.settings import Settings
from tasks.store import Store

LOGGER = logging.getLogger("synthgap")

KIND = "data"
ROWS = "rows.jsonl"

Place = Literal["train", "pool", "test"]
"""Which split a row is in; a row of the pool is a training row as well."""


class Line(NamedTuple):
    """A row as it is stored."""

    place: Place
    text: str
    label: str
    agreement: float | None


@dataclass(frozen=True)
class _Manifest:
    """The fields that are read of stored real rows."""

    task: TaskConfig
    source: str


def save_data(store: Store, data: TaskData) -> str:
    """Put real rows into the store, unless they are in it; returns their key."""
    key = data.key
    if store.verified(KIND, key):
        store.touch(KIND, key)
    else:
        pool = {row.text for row in data.pool}
        lines = [*_lines(data.train, "train", pool), *_lines(data.test, "test", set())]
        counts = {name: count_labels(rows, data.task.labels) for name, rows in _splits(data)}
        manifest = {"task": data.task.model_dump(mode="json"), "source": data.source, "rows": counts}
        store.put(KIND, key, manifest, {ROWS: lines})
    return key


def read_data(store: Store, key: str) -> TaskData:
    """Real rows from the store. Raises ``RunError`` if they are missing."""
    manifest = store.record(KIND, key, _Manifest)
    if manifest is None:
        raise _missing(store, key)
    try:
        lines = store.rows(KIND, key, ROWS, Line)
    except FileNotFoundError:
        raise _missing(store, key) from None
    train: list[Example] = []
    pool: list[Example] = []
    test: list[Example] = []
    for place, text, label, agreement in lines:
        row = Example(text, label, agreement)
        (test if place == "test" else train).append(row)
        if place == "pool":
            pool.append(row)
    return TaskData(manifest.task, tuple(train), tuple(pool), tuple(test), manifest.source)


def _missing(store: Store, key: str) -> RunError:
    return RunError(f"the store {store.url!r} has no real rows {key}; run the study again to load them")


def load(task: TaskConfig, settings: Settings, pool_share: float, pool_rows: int | None = None) -> TaskData:
    """The task's real rows: train, the pool in it that few-shot prompts may show, and test.

    The pool is a share of each label's training rows, at most ``pool_rows`` of a label.

    Raises ``UserError`` for rows that do not fit the task, ``UnavailableError`` if no source is available here.
    """
    data = split(task, read(task, settings), pool_share, pool_rows)
    sizes = len(data.train), len(data.pool), len(data.test)
    LOGGER.info("loaded %s: %d training rows, %d of them in the pool, and %d test rows", task.name, *sizes)
    return data


def read(task: TaskConfig, settings: Settings) -> Reading:
    """The rows of the data directory, or of the first available source; notes name unavailable sources."""
    folder = folder_of(task, settings)
    if folder is not None:
        return read_folder(folder)
    passed: list[str] = []
    for source in task.sources:
        try:
            found = _read_source(source, task, settings)
        except UnavailableError as error:
            passed.append(str(error))
            continue
        notes = (*found.notes, *(f"passed over: {reason}" for reason in passed))
        return Reading(found.train, found.test, found.source, notes, found.train_name, found.test_name)
    raise UnavailableError(f"no source of task {task.name!r} is available: " + "; ".join(passed))


def _read_source(source: Source, task: TaskConfig, settings: Settings) -> Reading:
    if isinstance(source, FileSource):
        return read_files(source)
    if isinstance(source, HubSource):
        return read_hub(source, task.name)
    return read_wheel(source, settings)


def _splits(data: TaskData) -> Iterator[tuple[str, tuple[Example, ...]]]:
    yield from (("train", data.train), ("pool", data.pool), ("test", data.test))


def _lines(rows: tuple[Example, ...], place: Place, pool: set[str]) -> Iterator[Line]:
    for row in rows:
        here: Place = "pool" if row.text in pool else place
        yield Line(here, row.text, row.label, row.agreement)
