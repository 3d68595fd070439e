"""How close generated texts come to real ones."""

from collections.abc import Callable, Mapping

import numpy as np

from tasks.analysis.embedding import Vectors

BLOCK = 2048
TOP = 5


def top_similarity(synthetic: Vectors, real: Vectors, top: int = TOP) -> float | None:
    """Mean over real texts of the mean of their ``top`` largest cosine similarities to synthetic texts (the paper).

    Both (texts, width), of length one. Null when there are fewer than ``top`` synthetic texts, or no real one.
    """
    if len(synthetic) < top or not len(real):
        return None
    total = 0.0
    for i in range(0, len(real), BLOCK):
        best = np.full((len(real[i : i + BLOCK]), top), -np.inf, np.float32)
        for j in range(0, len(synthetic), BLOCK):
            block = np.hstack([best, real[i : i + BLOCK] @ synthetic[j : j + BLOCK].T])
            best = np.partition(block, -top, axis=1)[:, -top:]
        total += float(best.mean(1, dtype=np.float64).sum())
    return total / len(real)


MEASURES: Mapping[str, Callable[[Vectors, Vectors], float | None]] = {
    f"top_{TOP}": top_similarity,
}
