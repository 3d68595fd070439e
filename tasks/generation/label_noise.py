"""How many generated texts are not of the label that was asked for, estimated without reading them.

A classifier that disagrees with the asked label may be the one that errs. How often it does is known from held-out
real texts, so that its own errors can be taken out of its disagreement.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tasks.generation.pool_classifier import PoolClassifier
from tasks.records import Row

INFORMED = 0.2
"""Least singular value of the confusion matrix, 0 for a classifier that guesses and 1 for one that never errs. Below
it, the correction would multiply chance by more than 5."""

AT_ONCE = 10_000
"""Texts that are classified together; features of millions would not fit into memory."""


@dataclass(frozen=True)
class LabelNoise:
    """Noise of a set of rows, as shares from 0 to 1."""

    disagreement: float
    """Of the rows, those that the classifier gives another label."""
    rate: float
    """Of the rows, those estimated to be of another label."""
    by_label: Mapping[str, float]
    """The same by asked label."""


def label_noise(rows: Iterable[Row], classifier: PoolClassifier) -> LabelNoise | None:
    """The estimated label noise; null without rows, or where the classifier knows too little to tell.

    Of the rows asked for one label, let q be the shares that are given each label and C the classifier's held-out
    confusion (rows: true label). Then q = p C for the shares p of true labels; p is the distribution that comes nearest
    (least squares). With two labels this is Rogan and Gladen's estimate, (q + specificity - 1) / (sensitivity +
    specificity - 1) within 0 and 1 (W. J. Rogan, B. Gladen, Estimating prevalence from the results of a screening
    test, American Journal of Epidemiology 107(1), 1978); for more see Lipton, Wang and Smola, Detecting and correcting
    for label shift with black box predictors, ICML 2018. It takes the classifier to err on generated texts as it does
    on real ones of the same label.

    Raises ``ValueError`` for a row whose label the classifier does not know.
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
    """The distribution p, no share below 0 and 1 in sum, for which p C comes nearest to ``shares``."""
    from scipy.optimize import nnls

    heavy = 1e3  # weight of the equation that says that shares sum to 1
    equations = np.vstack([confusion.T, np.full(len(confusion), heavy)])
    solution, _ = nnls(equations, np.append(shares, heavy))
    return np.asarray(solution / solution.sum())
