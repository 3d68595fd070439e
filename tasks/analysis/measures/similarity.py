"""How close generated texts are to real texts: whether they cover them, are near them, or can be told apart."""

from collections.abc import Callable, Mapping

import numpy as np

from tasks.analysis.measures.embedding import Vectors
from tasks.analysis.measures.sampling import Measured, choose, mean
from tasks.analysis.measures.two_sample import discriminator_auc, mmd

BLOCK = 2048
PAIRS = 200_000_000
"""Most pairs of texts that are compared: all pairs for two sets of 14,142 texts."""
TOP = 5


def top_similarity(among: Vectors, of: Vectors, top: int = TOP, *, pairs: int = PAIRS) -> Measured | None:
    """Mean over the texts ``of`` of the mean of their ``top`` largest cosine similarities to texts ``among``.

    With synthetic texts as ``among`` and real texts as ``of``, it is the paper's measure. Both are (texts, width), of
    length one. Null if ``among`` has fewer than ``top`` texts, or ``of`` has none. If there are more than ``pairs``
    pairs, only a sample of the texts ``of`` is used.
    """
    if len(among) < top or not len(of):
        return None
    asked = of[choose(len(of), max(2, pairs // len(among)))]
    means = [_top(asked[i : i + BLOCK], among, top) for i in range(0, len(asked), BLOCK)]
    return mean(np.concatenate(means), len(of))


def _top(asked: Vectors, among: Vectors, top: int) -> Vectors:
    best = np.full((len(asked), top), -np.inf, np.float32)
    for j in range(0, len(among), BLOCK):
        block = np.hstack([best, asked @ among[j : j + BLOCK].T])
        best = np.partition(block, -top, axis=1)[:, -top:]
    means: Vectors = best.mean(1)
    return means


MEASURES: Mapping[str, Callable[[Vectors, Vectors], Measured | None]] = {
    f"top_{TOP}": top_similarity,
    f"top_{TOP}_back": lambda synthetic, real: top_similarity(real, synthetic),
    "mmd": mmd,
    "auc": discriminator_auc,
}
