"""Which texts are measured, so that synthetic and real sets compare: as many of each label on both sides.

Most measures depend on the number of texts and all on the mix of labels. A task's real training rows therefore
give two sets without a text in common: the reference for similarity, and a real set of the same label counts, which
shows the values of real rows. Where there are too few real rows of a label for both, fewer synthetic rows of
it are measured, too.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.data.split import by_label
from tasks.records import Example, Row, TaskData, content_key

REFERENCE_TEXTS = 1000
"""Texts of the reference, about: a mean over 1,000 texts is known to well under 0.01, and more cost minutes."""


class Matched(NamedTuple):
    """The real side of a task. ``counts`` is how many texts of each label a set may have."""

    counts: dict[str, int]
    reference: list[str]
    real: list[str]


def match(data: TaskData, rows_per_label: int) -> Matched:
    """Split a task's real training rows for syntheses of ``rows_per_label`` rows.

    The reference takes rows first that no prompt may show: similarity to what was shown would flatter few-shot modes.
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
    """Texts of ``rows``, of each label at most ``counts``, chosen at random whatever their order."""
    chosen: list[str] = []
    for label, count in counts.items():
        chosen += shuffled(row.text for row in rows if row.label == label)[:count]
    return chosen


def shuffled(texts: Iterable[str]) -> list[str]:
    """The texts in a random order that depends on the texts alone."""
    return sorted(texts, key=lambda text: content_key(["describe", text]))
