"""Predictions of several trials on test items that they share: read, and put in one order.

Whatever compares trials gets its arrays here, so that a row of them is always one trial and a column one test item.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from tasks.analysis.statistics.paired import Aligned
from tasks.store import Store
from tasks.training.trial import Prediction, needed_predictions

Answers = dict[str, tuple[str, str]]
"""Test item to its real and its predicted label."""
Read = Callable[[str], Answers]
"""Reads a trial's answers by its key."""

KEPT = 64
"""Trials whose answers stay in memory: real ones are compared with many arms."""


def reader(store: Store, read: Callable[[Store, str], Sequence[Prediction]] = needed_predictions) -> Read:
    """Reads answers of finished trials; raises what ``read`` does where they are gone or damaged."""
    return lru_cache(maxsize=KEPT)(lambda key: {row.item: (row.label, row.predicted) for row in read(store, key)})


def shared_items(answers: Sequence[Answers], among: Collection[str] | None = None) -> list[str]:
    """Test items that all have, sorted; of those ``among`` them where given."""
    shared = set(answers[0]).intersection(*answers[1:])
    return sorted(shared if among is None else shared.intersection(among))


def align(answers: Sequence[Answers], items: Sequence[str], labels: Iterable[str] = ()) -> Aligned:
    """The answers, a row each, on ``items``, which all have. ``labels`` are counted as labels though no item has them.

    Labels are numbered in alphabetical order.
    """
    real = [answers[0][item][0] for item in items]
    predicted = [[of[item][1] for item in items] for of in answers]
    names = sorted({*real, *(name for row in predicted for name in row), *labels})
    index = {name: i for i, name in enumerate(names)}
    return Aligned(
        labels=np.array([index[label] for label in real], dtype=np.intp),
        predicted=np.array([[index[name] for name in row] for row in predicted], dtype=np.intp),
        classes=len(names),
    )


def sides(both: Aligned) -> tuple[Aligned, Aligned]:
    """Rows that were aligned in pairs, as the first and the second ones of them."""
    first, second = (replace(both, predicted=both.predicted[side::2]) for side in (0, 1))
    return first, second
