"""The estimated share of generated texts whose true label is not the one that was asked for.

If a classifier predicts another label than the one asked for, the error may be the classifier's. Its error rates are
known from held-out real texts, so the estimate corrects the share of disagreement for them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tasks.generation.pool_classifier import PoolClassifier
from tasks.records import Row

INFORMED = 0.2
"""Least allowed value of the confusion matrix's smallest singular value, which is 0 for a classifier that guesses and 1
for one without errors. Below it, the correction would multiply random errors by more than 5."""

AT_ONCE = 10_000
"""Texts that are classified together, because the features of millions would not fit into memory."""


@dataclass(frozen=True)
class LabelNoise:
    """Noise of a set of rows, as shares from 0 to 1."""

    disagreement: float
    """Share of the rows for which the classifier predicts another label."""
    rate: float
    """Estimated share of the rows whose true label is another one."""
    by_label: Mapping[str, float]
    """``rate`` by the label that was asked for."""


def label_noise(rows: Iterable[Row], classifier: PoolClassifier) -> LabelNoise | None:
    """The estimated label noise; null without rows, or if the classifier is too inaccurate.

    Among the rows asked for one label, let q be the share of each predicted label and C the classifier's held-out
    confusion matrix (rows: true label). Then q = p C for the shares p of true labels; p is the distribution with the
    least squared error. With two labels this is Rogan and Gladen's estimate, (q + specificity - 1) / (sensitivity +
    specificity - 1) within 0 and 1 (W. J. Rogan, B. Gladen, Estimating prevalence from the results of a screening
    test, American Journal of Epidemiology 107(1), 1978). For more labels see Lipton, Wang and Smola, Detecting and
    correcting for label shift with black box predictors, ICML 2018. The estimate assumes that the classifier's error
    rates on generated texts are those on real texts of the same label.

    Raises ``ValueError`` for a row whose label is not one of the classifier's.
    """
    confusion = classifier.confusion
    if np.linalg.svd(confusion, compute_uv=False).min() < INFORMED:
        return None
    numbers = {label: number for number, label in enumerate(classifier.labels)}
    labels: list[int] = []
    parts: list[NDArray[np.intp]] = []
    left = iter(rows)
    while group := list(islice(left, AT_ONCE)):
        if (other := next((row.label for row in group if row.label not in numbers), None)) is not None:
            raise ValueError(f"label {other!r} is not one of {classifier.labels}")
        labels += [numbers[row.label] for row in group]
        parts.append(classifier.probabilities([row.text for row in group]).argmax(axis=1))
    if not labels:
        return None
    asked, given = np.array(labels), np.concatenate(parts)
    by_label = {}
    for index in sorted(set(asked.tolist())):
        shares = np.bincount(given[asked == index], minlength=len(classifier.labels)) / (asked == index).sum()
        by_label[classifier.labels[index]] = 1 - float(_mixture(shares, confusion)[index])
    rate = sum(by_label[classifier.labels[number]] for number in labels) / len(labels)
    return LabelNoise(float((given != asked).mean()), rate, by_label)


def _mixture(shares: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """The distribution p (shares of at least 0 with sum 1) for which p C is closest to ``shares``."""
    from scipy.optimize import nnls

    heavy = 1e3  # weight of the equation that makes the shares sum to 1
    equations = np.vstack([confusion.T, np.full(len(confusion), heavy)])
    solution, _ = nnls(equations, np.append(shares, heavy))
    return np.asarray(solution / solution.sum())
