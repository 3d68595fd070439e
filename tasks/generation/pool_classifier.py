"""A small classifier trained on the few-shot pool, whose real labels a synthesis may use.

It is a logistic regression on TF-IDF features of words and characters, which trains in seconds. Cross-validation shows
how accurate its probabilities are: each pool text is also classified by a model that was trained without it.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.records import Example

FOLDS = 5
"""Folds of the cross-validation, stratified by label."""
SEED = 0
"""Seed of the choice of folds."""


@dataclass(frozen=True)
class PoolClassifier:
    """A trained classifier with its cross-validated probabilities for the pool texts."""

    labels: tuple[str, ...]
    """Sorted; columns of all probabilities."""
    model: Any
    truth: NDArray[np.intp]
    """(texts of the pool,) index in ``labels`` of each text's label."""
    held_out: NDArray[np.float64]
    """(texts of the pool, labels) probabilities for each text by a classifier trained without it."""

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts, labels) probability of each label."""
        return np.asarray(self.model.predict_proba(list(texts)))

    @property
    def confusion(self) -> NDArray[np.float64]:
        """(true labels, predicted labels) share of the held-out texts of a true label; rows sum to 1."""
        counts = np.zeros((len(self.labels), len(self.labels)))
        np.add.at(counts, (self.truth, self.held_out.argmax(axis=1)), 1)
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))


@functools.lru_cache(maxsize=4)  # the filter and the estimate of label noise use the same one
def train(pool: tuple[Example, ...]) -> PoolClassifier | None:
    """A classifier of the pool's labels; null with fewer than two labels, or fewer texts of a label than folds."""
    counts = Counter(example.label for example in pool)
    if len(counts) < 2 or min(counts.values()) < FOLDS:
        return None
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    labels = tuple(sorted(counts))
    texts = [example.text for example in pool]
    truth = np.array([labels.index(example.label) for example in pool])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    held_out = cross_val_predict(_untrained(), texts, truth, cv=folds, method="predict_proba")
    return PoolClassifier(labels, _untrained().fit(texts, truth), truth, held_out)


def _untrained() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    regression = LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
    return make_pipeline(make_union(words, characters), regression)
