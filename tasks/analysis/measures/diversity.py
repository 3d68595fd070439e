"""How different the texts of one set are from each other.

All measures except the remote clique depend on the number of texts: compare sets of the same size (see ``matching``).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tasks.analysis.measures.embedding import Vectors
from tasks.analysis.measures.sampling import Measured, choose, mean
from tasks.analysis.measures.self_bleu import self_bleu
from tasks.analysis.measures.words import words

BLOCK = 2048
"""Rows and columns of the similarity matrix that are in memory at once: 16 MB."""
PAIRS = 200_000_000
"""Most pairs of texts that a nearest-neighbour measure compares: all pairs of up to 14,142 texts."""


def remote_clique(vectors: Vectors) -> Measured | None:
    """Mean over texts of the mean cosine distance to the others (Cox et al. 2021). Null for fewer than two texts.

    ``vectors`` (texts, width) have length one. Then the sum over all pairs is the squared length of their sum.
    """
    n = len(vectors)
    if n < 2:
        return None
    total = vectors.sum(0, dtype=np.float64)
    pairs = float(total @ total - np.einsum("ij,ij->", vectors, vectors, dtype=np.float64))
    return Measured(1 - pairs / (n * (n - 1)))


def chamfer(vectors: Vectors, *, pairs: int = PAIRS) -> Measured | None:
    """Mean over texts of the cosine distance to the nearest other (Cox et al. 2021). Null for fewer than two texts.

    If there are more than ``pairs`` pairs, only a sample of texts is compared with all others.
    """
    n = len(vectors)
    if n < 2:
        return None
    chosen = choose(n, max(2, pairs // n))
    nearest = np.full(len(chosen), -np.inf, np.float32)
    for i in range(0, len(chosen), BLOCK):
        rows = chosen[i : i + BLOCK]
        for j in range(0, n, BLOCK):
            similarity = vectors[rows] @ vectors[j : j + BLOCK].T
            own = np.flatnonzero((rows >= j) & (rows < j + BLOCK))
            similarity[own, rows[own] - j] = -np.inf
            np.maximum(nearest[i : i + BLOCK], similarity.max(1), out=nearest[i : i + BLOCK])
    return mean(1 - nearest, n)


def vendi(vectors: Vectors) -> Measured | None:
    """Vendi score with the cosine kernel (Friedman and Dieng 2023): exp of the entropy of the kernel's eigenvalues.

    From 1 (all texts are equal) to the number of texts or the width, whichever is smaller. The value is exact: apart
    from zeros, the (texts, texts) kernel has the same eigenvalues as the (width, width) Gram matrix. Null for fewer
    than two texts.
    """
    n, width = vectors.shape
    if n < 2:
        return None
    gram = np.zeros((width, width))
    for i in range(0, n, BLOCK):
        block = vectors[i : i + BLOCK].astype(np.float64)
        gram += block.T @ block
    shares = np.linalg.eigvalsh(gram / n)
    shares = shares[shares > 0]
    return Measured(float(np.exp(-np.sum(shares * np.log(shares)))))


def distinct(texts: Sequence[str], n: int) -> Measured | None:
    """Number of different n-grams of words divided by that of all (Li et al. 2016). Null if no text has n words."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        said = words(text)
        grams = list(zip(*(said[i:] for i in range(n)), strict=False))
        seen.update(grams)
        total += len(grams)
    return Measured(len(seen) / total) if total else None


MEASURES: Mapping[str, Callable[[Sequence[str], Vectors], Measured | None]] = {
    "texts": lambda texts, vectors: Measured(len(texts)),
    "remote_clique": lambda texts, vectors: remote_clique(vectors),
    "chamfer": lambda texts, vectors: chamfer(vectors),
    "vendi": lambda texts, vectors: vendi(vectors),
    "distinct_1": lambda texts, vectors: distinct(texts, 1),
    "distinct_2": lambda texts, vectors: distinct(texts, 2),
    "self_bleu": lambda texts, vectors: self_bleu(texts),
}
