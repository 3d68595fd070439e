"""Which texts are measured: synthetic and real sets have the same number of texts of each label.

Most measures depend on the number of texts, and all depend on the shares of the labels. Therefore the real training
rows of a task are split into two sets without common texts: the reference for similarity, and a real set with the same
label counts, which shows the values of real rows. If a label has too few real rows for both, fewer synthetic rows of
this label are measured.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.data.split import by_label
from tasks.records import Example, Row, TaskData, content_key

REFERENCE_TEXTS = 1000
"""Approximate number of reference texts: the error of a mean over 1,000 texts is far below 0.01, and more texts would
cost minutes."""


class Matched(NamedTuple):
    """The real texts of a task. ``counts`` is the number of texts of each label that a set may have."""

    counts: dict[str, int]
    reference: list[str]
    real: list[str]


def match(data: TaskData, rows_per_label: int) -> Matched:
    """Split a task's real training rows for syntheses of ``rows_per_label`` rows.

    The reference prefers rows that no prompt shows: otherwise, few-shot texts would be similar to their own examples.
    """
    shown = {row.text for row in data.pool}
    groups = {label: shuffled(row.text for row in rows) for label, rows in by_label(data.train).items()}
    groups = {label: sorted(texts, key=shown.__contains__) for label, texts in groups.items()}
    counts = {label: min(rows_per_label, len(groups.get(label, ())) // 2) for label in data.task.labels}
    share = min(1.0, REFERENCE_TEXTS / max(1, sum(counts.values())))
    reference, real = [], []
    for label, count in counts.items():
        if count:
            reference += groups[label][: max(1, int(share * count))]
            real += groups[label][-count:]
    return Matched(counts, reference, real)


def matched_texts(rows: Sequence[Example | Row], counts: dict[str, int]) -> list[str]:
    """Texts of ``rows``, at most ``counts`` of each label. The choice is random and does not depend on their order."""
    chosen: list[str] = []
    for label, count in counts.items():
        chosen += shuffled(row.text for row in rows if row.label == label)[:count]
    return chosen


def shuffled(texts: Iterable[str]) -> list[str]:
    """The texts in a random order that depends only on the texts."""
    return sorted(texts, key=lambda text: content_key(["describe", text]))
