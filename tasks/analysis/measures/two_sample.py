"""Whether two sets of texts have the same distribution: by a kernel (MMD) and by a classifier (AUC).

MMD is used instead of MAUVE: it needs only numpy and has an unbiased estimate for any size, while the value of MAUVE
depends on the number of its clusters.
"""

import threading
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tasks.analysis.measures.embedding import Vectors
from tasks.analysis.measures.sampling import SEED, Measured, choose, mean_of_draws

EXACT = 4000
"""Largest set whose pairs are all compared; a larger one is cut into blocks."""
BLOCK, BLOCKS = 2000, 20
MEDIAN = 1000
"""Real texts that determine the width of the kernel."""
SIDE = 2000
"""Most texts of each kind for the discriminator, for training and test together."""
FOLDS = 5
ALIKE = 0.999
"""Cosine similarity from which two texts count as equal: by rounding, that of a text to itself may be less than 1."""
DECIMALS = 4
"""Decimals of the discriminator's scores, so that a text which both sides have is a tie in spite of rounding."""

_fitting = threading.Lock()  # the limit of threads is global: after two overlapping ones it would stay


def mmd(synthetic: Vectors, real: Vectors, *, exact: int = EXACT) -> Measured | None:
    """Squared maximum mean discrepancy, unbiased (Gretton et al. 2012, lemma 6): about 0 for one distribution.

    It can be slightly negative. The kernel is Gaussian. Its width is the median distance between real texts, so it is
    the same for all sets that are compared with them. Both sets are (texts, width), of length one. A set of more than
    ``exact`` texts is cut into random blocks, and the estimates of the blocks are averaged (Zaremba et al. 2013). Null
    for fewer than two texts on either side, or if all real texts are equal.
    """
    if min(len(synthetic), len(real)) < 2:
        return None
    width = _squared_median_distance(real)
    if width < 1e-6:  # no distance except for rounding
        return None
    ours, theirs = _blocks(synthetic, exact), _blocks(real, exact)
    pairs = islice(zip(cycle(ours), cycle(theirs), strict=True), max(len(ours), len(theirs)))
    between = np.array([_kernel(x, y, width).mean(dtype=np.float64) for x, y in pairs])
    within = [np.array([_within(block, width) for block in blocks]) for blocks in (ours, theirs)]
    return mean_of_draws(within[0] + within[1] - 2 * between)


def _squared_median_distance(vectors: Vectors) -> float:
    some = vectors[choose(len(vectors), MEDIAN)]
    apart = (2 - 2 * some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.median(np.sqrt(apart.clip(0))) ** 2)


def _blocks(vectors: Vectors, exact: int) -> list[Vectors]:
    if len(vectors) <= exact:
        return [vectors]
    size = min(BLOCK, len(vectors) // BLOCKS)
    order = np.random.default_rng(SEED).permutation(len(vectors))
    return [vectors[order[i * size : (i + 1) * size]] for i in range(BLOCKS)]


def _kernel(x: Vectors, y: Vectors, width: float) -> Vectors:
    """exp(-d^2 / (2 width)), where d^2 = 2 - 2 cos for vectors of length one."""
    kernel: Vectors = x @ y.T
    kernel -= 1
    kernel /= width
    np.exp(kernel, out=kernel)
    return kernel


def _within(vectors: Vectors, width: float) -> float:
    n, kernel = len(vectors), _kernel(vectors, vectors, width)
    return float((kernel.sum(dtype=np.float64) - np.trace(kernel, dtype=np.float64)) / (n * (n - 1)))


def discriminator_auc(synthetic: Vectors, real: Vectors, *, side: int = SIDE) -> Measured | None:
    """Area under the ROC curve of a logistic regression that separates real and synthetic texts: 0.5 never, 1 always.

    A classifier two-sample test (Lopez-Paz and Oquab 2017) with the same number of texts of each kind, at most
    ``side``. It is the mean over ``FOLDS`` folds, with the standard error of Hanley and McNeil (1982). Equal texts are
    in the same fold; otherwise a text that both sides have would be in the training rows with the opposite label. Null
    for fewer than ``FOLDS`` texts on a side, for fewer than ``FOLDS`` different texts, and if no fold has both kinds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    n = min(len(synthetic), len(real), side)
    if n < FOLDS:
        return None
    vectors = np.concatenate([some[choose(len(some), n)] for some in (synthetic, real)])
    kinds = np.repeat([0, 1], n)
    alike = _first_alike(vectors)
    vectors = vectors[alike]
    if len(np.unique(alike)) < FOLDS:
        return None
    areas = []
    with _fitting, threadpool_limits(limits=1, user_api="blas"):  # the matrices are small: more threads would be slower
        for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED).split(vectors, kinds, alike):
            if len(set(kinds[train])) == len(set(kinds[test])) == 2:
                model = LogisticRegression(max_iter=1000).fit(vectors[train], kinds[train])
                areas.append(roc_auc_score(kinds[test], model.decision_function(vectors[test]).round(DECIMALS)))
    return Measured(float(np.mean(areas)), _area_error(float(np.mean(areas)), n)) if areas else None


def _first_alike(vectors: Vectors) -> NDArray[np.intp]:
    """(texts,) the number of the first text that is equal to it (``ALIKE``); for most texts, their own number.

    The number decides the fold of a text. It does not depend on the last digits of the vector, which differ by
    processor.
    """
    blocks = (vectors[i : i + BLOCK] @ vectors.T >= ALIKE for i in range(0, len(vectors), BLOCK))
    return np.concatenate([block.argmax(axis=1) for block in blocks])


def _area_error(area: float, n: int) -> float:
    """Standard error of an area under the ROC curve of ``n`` texts of each kind (Hanley and McNeil 1982)."""
    same_real, same_synthetic = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (n - 1) * (same_real + same_synthetic - 2 * area**2)
    return float(np.sqrt(max(0.0, spread)) / n)
