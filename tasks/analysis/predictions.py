"""Predictions of several trials on the test items that they share, as arrays.

Every comparison of trials gets its arrays from here: a row is a trial, a column is a test item.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.analysis.statistics.paired import Aligned
from tasks.store import Store
from tasks.training.trial import Prediction, needed_predictions

KEPT = 2000
"""Trials whose answers stay in memory, at 4 bytes for each test row. Real trials are needed for many arms."""
SAMPLES = 64
"""Samples that stay in memory."""


@dataclass(frozen=True, eq=False)
class Answers:
    """A trial's predictions for its test items."""

    items: tuple[str, ...]
    """Sorted. Trials on the same items share this tuple and that of ``labels``."""
    labels: tuple[str, ...]
    """The real label of each item."""
    names: tuple[str, ...]
    """The labels that occur among the predictions."""
    predicted: NDArray[np.int32]
    """(items,) index in ``names`` of the predicted label."""


class Predictions:
    """The answers of the finished trials in a store, cached."""

    def __init__(self, store: Store, read: Callable[[Store, str], Sequence[Prediction]] = needed_predictions) -> None:
        """``read`` returns the predictions of a trial by its key, and raises if they are gone or damaged."""
        self.of = lru_cache(maxsize=KEPT)(lambda key: self._answers(read(store, key)))
        """The answers of a trial, by its key."""
        self.sample = lru_cache(maxsize=SAMPLES)(self._sample)
        """Arguments: keys of trials, test items that all of them have, names of labels, all as tuples. Result: their
        ``Aligned``, which is the same object for the same arguments."""
        self._same = lru_cache(maxsize=SAMPLES)(lambda names: names)

    def _answers(self, rows: Sequence[Prediction]) -> Answers:
        by_item = {row.item: row for row in rows}
        items = sorted(by_item)
        names = sorted({row.predicted for row in rows})
        index = {name: i for i, name in enumerate(names)}
        return Answers(
            self._same(tuple(items)),
            self._same(tuple(by_item[item].label for item in items)),
            tuple(names),
            np.array([index[by_item[item].predicted] for item in items], np.int32),
        )

    def _sample(self, keys: tuple[str, ...], items: tuple[str, ...], names: tuple[str, ...]) -> Aligned:
        index = {name: i for i, name in enumerate(names)}
        rows = [_chosen(self.of(key), items) for key in keys]
        predicted = [
            np.array([index[name] for name in answers.names], np.intp)[answers.predicted[places]]
            for answers, places in rows
        ]
        first, places = rows[0]
        labels = np.array([index[label] for label in first.labels], np.intp)[places]
        return Aligned(labels=labels, predicted=np.array(predicted, np.intp), classes=len(names))


def _chosen(answers: Answers, items: tuple[str, ...]) -> tuple[Answers, slice | list[int]]:
    """The answers, and the positions of ``items`` among their items."""
    if answers.items is items:
        return answers, slice(None)
    place = {item: i for i, item in enumerate(answers.items)}
    return answers, [place[item] for item in items]


def shared_items(answers: Sequence[Answers], among: Collection[str] | None = None) -> tuple[str, ...]:
    """The test items that all answers have, sorted. ``among`` limits them to some items."""
    items = answers[0].items
    if among is None and all(of.items is items for of in answers):
        return items
    shared = set(items).intersection(*(of.items for of in answers[1:]))
    return tuple(sorted(shared if among is None else shared.intersection(among)))


def label_names(answers: Sequence[Answers], labels: Iterable[str] = ()) -> tuple[str, ...]:
    """Labels of the test rows, predicted labels and ``labels``, in alphabetical order. Arrays number them so."""
    return tuple(sorted({*labels, *answers[0].labels, *(name for of in answers for name in of.names)}))
