"""Seeded choices of real rows. Same data and draw give the same rows; a larger choice contains a smaller one."""

import functools
from collections.abc import Mapping, Sequence
from itertools import chain

from tasks.data.split import SPLIT_SEED, by_label, ranked
from tasks.errors import UserError, unknown
from tasks.records import Example, TaskData

CHOICES, SAMPLES, TASKS = 4096, 16, 16
"""Choices of a label's rows, samples, and tasks by label that are cached: a run uses those of its plan again, and each
choice reads all rows.
"""


def matched_rows(data: TaskData, label_counts: Mapping[str, int], draw: int) -> tuple[Example, ...]:
    """The requested number of training rows of each label, drawn at random.

    Raises ``UserError`` if a label is unknown or has too few rows.
    """
    chosen: list[Example] = []
    for label, count in label_counts.items():
        if label not in data.task.labels:
            raise unknown(f"label of task {data.task.name!r}", label, data.task.labels)
        available = len(_by_label(data).get(label, ()))
        if count > available:
            raise UserError(
                f"task {data.task.name!r}: label {label!r} has {available} real training rows, but {count} are "
                f"needed; set rows_per_label to at most {available}"
            )
        chosen += _first(data, label, count, draw)
    return tuple(chosen)


@functools.lru_cache(maxsize=TASKS)
def _by_label(data: TaskData) -> dict[str, list[Example]]:
    return by_label(data.train)


@functools.lru_cache(maxsize=CHOICES)
def _first(data: TaskData, label: str, count: int, draw: int) -> tuple[Example, ...]:
    """The first rows of a label in the order of a draw."""
    return tuple(ranked(_by_label(data).get(label, ()), f"matched:{draw}", count))


@functools.lru_cache(maxsize=SAMPLES)
def natural_rows(data: TaskData, n: int | None, draw: int) -> tuple[Example, ...]:
    """``n`` training rows in their natural label shares, at least one of each label; null or too large: all rows."""
    return _stratified(data, data.train, n, f"natural:{draw}", "reference_rows")


@functools.lru_cache(maxsize=SAMPLES)
def test_sample(data: TaskData, n: int | None) -> tuple[Example, ...]:
    """``n`` test rows in their natural label shares, at least one of each label; null or too large: all rows.

    They are the same for every seed, so that trials are paired by test row.
    """
    return _stratified(data, data.test, n, f"sample:{SPLIT_SEED}", "test_rows")


def _stratified(data: TaskData, rows: Sequence[Example], n: int | None, salt: str, name: str) -> tuple[Example, ...]:
    """The first ``n`` rows of an order in which each initial part has the labels in their shares.

    The i-th of a label's k rows has the position (i + 1/2) / k; the first rows of all labels come before the others.
    """
    if n is None or n >= len(rows):
        return tuple(rows)
    if n < len(data.task.labels):
        raise UserError(
            f"task {data.task.name!r}: {name} {n} is less than its number of labels, "
            f"{len(data.task.labels)}; each label needs a row"
        )
    groups = [ranked(group, salt) for _, group in sorted(by_label(rows).items())]
    firsts = [group[0] for group in groups]
    places = sorted(
        ((i + 0.5) / len(group), g, i) for g, group in enumerate(groups) for i in range(1, len(group))
    )  # fmt: skip
    return tuple(chain(firsts, (groups[g][i] for _, g, i in places)))[:n]
