"""Predictions of several trials on test items that they share: read, and put in one order.

Whatever compares trials gets its arrays here, so that a row of them is always one trial and a column one test item.
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
"""Trials whose answers stay in memory, 4 bytes a test row: real ones are compared with many arms."""
SAMPLES = 64
"""Samples that stay in memory."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a trial says of its test items."""

    items: tuple[str, ...]
    """Sorted. Trials on the same items have the same tuple, and the same one of ``labels``."""
    labels: tuple[str, ...]
    """Real label of each item."""
    names: tuple[str, ...]
    """The labels that are predicted."""
    predicted: NDArray[np.int32]
    """(items,) index in ``names`` of the label that is predicted."""


class Predictions:
    """The answers of finished trials in one store."""

    def __init__(self, store: Store, read: Callable[[Store, str], Sequence[Prediction]] = needed_predictions) -> None:
        """``read`` gets the predictions of a trial by its key; it raises where they are gone or damaged."""
        self.of = lru_cache(maxsize=KEPT)(lambda key: self._answers(read(store, key)))
        """Answers of a trial by its key."""
        self.sample = lru_cache(maxsize=SAMPLES)(self._sample)
        """Keys of trials, test items that all have, and names of labels, all as tuples, to an ``Aligned``; the same
        one for the same question."""
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
    """The answers, and the places of ``items`` among theirs."""
    if answers.items is items:
        return answers, slice(None)
    place = {item: i for i, item in enumerate(answers.items)}
    return answers, [place[item] for item in items]


def shared_items(answers: Sequence[Answers], among: Collection[str] | None = None) -> tuple[str, ...]:
    """Test items that all have, sorted; of those ``among`` them where given."""
    items = answers[0].items
    if among is None and all(of.items is items for of in answers):
        return items
    shared = set(items).intersection(*(of.items for of in answers[1:]))
    return tuple(sorted(shared if among is None else shared.intersection(among)))


def label_names(answers: Sequence[Answers], labels: Iterable[str] = ()) -> tuple[str, ...]:
    """Labels that stand in the test rows or are predicted, and ``labels``, in the order in which they are numbered:
    that of the alphabet.
    """
    return tuple(sorted({*labels, *answers[0].labels, *(name for of in answers for name in of.names)}))
