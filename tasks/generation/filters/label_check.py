"""A text for which a classifier trained on the few-shot pool predicts, with high confidence, another label than the one
that was asked for.

It is not one of the default filters: it also rejects texts that a classifier could learn from, and a data set without
them looks easier than it is. A study must name it.
"""

from typing import TYPE_CHECKING

from tasks.generation.filter import Check, Filter, FilterContext
from tasks.records import Row

if TYPE_CHECKING:
    from tasks.generation.pool_classifier import PoolClassifier

SURE = 0.9
"""Least probability of another label at which a text is rejected."""
RIGHT = 0.95
"""Least precision of the classifier for that label, on held-out pool texts with at least this probability."""
ENOUGH = 20
"""Fewest such texts from which the precision is estimated."""


def _build(context: FilterContext) -> Check:
    from tasks.generation.pool_classifier import train  # numpy would slow down a plan

    classifier = train(context.pool)
    trusted = _trusted(classifier) if classifier else frozenset()
    if classifier is None or not trusted:
        return lambda row: None
    labels = classifier.labels

    def check(row: Row) -> str | None:
        chances = classifier.probabilities([row.text])[0]
        best = int(chances.argmax())
        if labels[best] == row.label or labels[best] not in trusted or chances[best] < SURE:
            return None
        return f"pool classifier says {labels[best]} at {chances[best]:.0%}"

    return check


def _trusted(classifier: "PoolClassifier") -> frozenset[str]:
    """The labels for which the classifier is nearly always right if its probability is high."""
    found = set()
    for index, label in enumerate(classifier.labels):
        sure = classifier.held_out[:, index] >= SURE
        if sure.sum() >= ENOUGH and (classifier.truth[sure] == index).mean() >= RIGHT:
            found.add(label)
    return frozenset(found)


FILTER = Filter("label_check", version=1, step="kept", build=_build)
