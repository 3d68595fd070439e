"""Seeded choices of real rows: same data, same draw, same rows, and a larger choice contains a smaller one."""

import functools
from collections.abc import Mapping, Sequence
from itertools import chain

from tasks.data.split import SPLIT_SEED, by_label, ranked
from tasks.errors import UserError, unknown
from tasks.records import Example, TaskData

DRAWS, SAMPLES = 32, 16
"""Orders of rows, and samples, that stay in memory: cells and syntheses of one draw ask for the same ones."""


def matched_rows(data: TaskData, label_counts: Mapping[str, int], draw: int) -> tuple[Example, ...]:
    """As many training rows of each label as asked, drawn at random.

    Raises ``UserError`` when a label is unknown or has fewer rows than asked.
    """
    groups = _ranked_by_label(data, draw)
    chosen: list[Example] = []
    for label, count in label_counts.items():
        if label not in data.task.labels:
            raise unknown(f"label of task {data.task.name!r}", label, data.task.labels)
        available = groups.get(label, [])
        if count > len(available):
            raise UserError(
                f"task {data.task.name!r}: {count} real training rows of label {label!r} asked, "
                f"{len(available)} available; ask for at most that many rows_per_label"
            )
        chosen += available[:count]
    return tuple(chosen)


@functools.lru_cache(maxsize=DRAWS)
def _ranked_by_label(data: TaskData, draw: int) -> dict[str, list[Example]]:
    """All training rows of each label in the order of a draw, of which matched rows are the beginnings."""
    return {label: ranked(rows, f"matched:{draw}") for label, rows in by_label(data.train).items()}


@functools.lru_cache(maxsize=SAMPLES)
def natural_rows(data: TaskData, n: int | None, draw: int) -> tuple[Example, ...]:
    """``n`` training rows in their natural label shares, at least one of each label; all of them when fewer or null."""
    return _stratified(data, data.train, n, f"natural:{draw}", "reference_rows")


@functools.lru_cache(maxsize=SAMPLES)
def test_sample(data: TaskData, n: int | None) -> tuple[Example, ...]:
    """``n`` test rows in their natural label shares, at least one of each label; all of them when fewer or null.

    The same for every seed, so that trials are paired by test row.
    """
    return _stratified(data, data.test, n, f"sample:{SPLIT_SEED}", "test_rows")


def _stratified(data: TaskData, rows: Sequence[Example], n: int | None, salt: str, name: str) -> tuple[Example, ...]:
    """The first ``n`` of an order of which every beginning has the labels in their shares.

    A label's i-th row of k comes at (i + 1/2) / k; the first row of each label comes before all others.
    """
    if n is None or n >= len(rows):
        return tuple(rows)
    if n < len(data.task.labels):
        raise UserError(
            f"task {data.task.name!r}: {name} {n} is less than its {len(data.task.labels)} labels; each needs a row"
        )
    groups = [ranked(group, salt) for _, group in sorted(by_label(rows).items())]
    firsts = [group[0] for group in groups]
    places = sorted(
        ((i + 0.5) / len(group), g, i) for g, group in enumerate(groups) for i in range(1, len(group))
    )  # fmt: skip
    return tuple(chain(firsts, (groups[g][i] for _, g, i in places)))[:n]
