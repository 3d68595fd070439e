"""Scores of predicted labels against real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Evaluation:
    """Scores on one test set; macro-F1 is the mean over the labels that occur in it."""

    macro_f1: float
    accuracy: float
    per_label: Mapping[str, Mapping[str, float]]
    """Label -> precision, recall, f1 and support, in the task's order of labels."""
    confusion: tuple[tuple[int, ...], ...]
    """Rows are real labels, columns predicted ones, in the task's order."""


def evaluate(labels: Sequence[str], predicted: Sequence[str], order: Sequence[str]) -> Evaluation:
    """Scores of ``predicted`` against ``labels`` (one entry for each test row); ``order`` lists the task's labels.

    A label that was never predicted has precision 0. The mean does not include labels without test rows, so that all
    models of one test set are scored on the same labels. Raises ``ValueError`` for an empty test set.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    if not labels:
        raise ValueError("no test rows")
    names = list(order)
    columns = precision_recall_fscore_support(labels, predicted, labels=names, zero_division=0)
    confusion = confusion_matrix(labels, predicted, labels=names)
    scores = {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for label, p, r, f, n in zip(names, *columns, strict=True)
    }
    present = [score["f1"] for score in scores.values() if score["support"]]
    return Evaluation(
        macro_f1=sum(present) / len(present),
        accuracy=float(accuracy_score(labels, predicted)),
        per_label=scores,
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
    )
