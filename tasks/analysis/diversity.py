"""How unlike each other the texts of one set are."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tasks.analysis.embedding import Vectors

BLOCK = 2048
"""Rows and columns of the similarity matrix held at once: 16 MB."""

WORD = re.compile(r"\w+|[^\w\s]")


def remote_clique(vectors: Vectors) -> float | None:
    """Mean over texts of the mean cosine distance to the others (Cox et al. 2021). Null for fewer than two texts.

    ``vectors`` (texts, width) have length one, so that the sum over all pairs is the squared length of their sum.
    """
    n = len(vectors)
    if n < 2:
        return None
    wide = vectors.astype(np.float64)
    pairs = float(np.sum(wide.sum(0) ** 2) - np.sum(wide**2))
    return 1 - pairs / (n * (n - 1))


def chamfer(vectors: Vectors) -> float | None:
    """Mean over texts of the cosine distance to the nearest other (Cox et al. 2021). Null for fewer than two texts.

    Exact; each pair of blocks is multiplied once and serves both its rows and its columns.
    """
    n = len(vectors)
    if n < 2:
        return None
    nearest = np.full(n, -np.inf, np.float32)
    for i in range(0, n, BLOCK):
        for j in range(i, n, BLOCK):
            similarity = vectors[i : i + BLOCK] @ vectors[j : j + BLOCK].T
            if i == j:
                np.fill_diagonal(similarity, -np.inf)
            np.maximum(nearest[i : i + BLOCK], similarity.max(1), out=nearest[i : i + BLOCK])
            np.maximum(nearest[j : j + BLOCK], similarity.max(0), out=nearest[j : j + BLOCK])
    return float(1 - nearest.astype(np.float64).mean())


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Share of different n-grams of words among all of them (Li et al. 2016). Null when no text has n words."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        words = WORD.findall(text.lower())
        grams = list(zip(*(words[i:] for i in range(n)), strict=False))
        seen.update(grams)
        total += len(grams)
    return len(seen) / total if total else None


MEASURES: Mapping[str, Callable[[Sequence[str], Vectors], float | None]] = {
    "remote_clique": lambda texts, vectors: remote_clique(vectors),
    "chamfer": lambda texts, vectors: chamfer(vectors),
    "distinct_1": lambda texts, vectors: distinct(texts, 1),
    "distinct_2": lambda texts, vectors: distinct(texts, 2),
}
