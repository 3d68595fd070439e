"""A classifier of the few-shot pool is sure of another label than the one that was asked for.

Left out of the default filters: what such a classifier dislikes are also the texts that it could learn from, and a data
set without them looks easier than it is. A study that names it asks for it.
"""

from typing import TYPE_CHECKING

from tasks.generation.filter import Check, Filter, FilterContext
from tasks.records import Row

if TYPE_CHECKING:
    from tasks.generation.pool_classifier import PoolClassifier

SURE = 0.9
"""Least probability of another label that counts against a text."""
RIGHT = 0.95
"""Share of held-out pool texts for which the classifier must have been right when it was as sure of that label."""
ENOUGH = 20
"""Least such texts for that share to mean anything."""


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
    """The labels that the classifier is nearly always right about when it is sure."""
    found = set()
    for index, label in enumerate(classifier.labels):
        sure = classifier.held_out[:, index] >= SURE
        if sure.sum() >= ENOUGH and (classifier.truth[sure] == index).mean() >= RIGHT:
            found.add(label)
    return frozenset(found)


FILTER = Filter("label_check", version=1, step="kept", build=_build)
