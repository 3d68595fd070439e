"""95% intervals of plain means and of slopes, in closed form.

Both are sums over items and seeds, and the variance of a sum has an unbiased estimate. A bootstrap would take more time
for the same result, and with two to five seeds its intervals would be too narrow.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.records import Interval

LEVEL = 0.95


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The mean of independent values with Student's t interval. Null for fewer than two values."""
    if len(values) < 2:
        return None
    found = np.asarray(values, np.float64)
    return _around(found.mean(), [(found.var(ddof=1) / len(found), len(found) - 1)])


def slope_interval(values: NDArray[np.float64], upper: NDArray[np.bool_]) -> Interval:
    """Mean of ``values`` (seeds, items) over the ``upper`` items minus the mean over all items, with its interval.

    The difference is (share of the other items) x (mean of the upper items - mean of the others). Seeds and items are
    crossed. The variance is that of the item means plus that of the differences by seed, minus that of the residuals,
    which both contain (Cornfield and Tukey 1956). With one seed, the interval covers the items only. Both groups need
    at least two items.
    """
    groups = [values[:, mask] for mask in (upper, ~upper)]
    scale = (1 - upper.mean()) ** 2
    by_item = [scale * group.mean(0).var(ddof=1) / group.shape[1] for group in groups]
    parts = [(part, group.shape[1] - 1) for part, group in zip(by_item, groups, strict=True)]
    observed = values[:, upper].mean(1) - values.mean(1)
    seeds = len(values)
    if seeds > 1:
        shared = scale * sum(_residual(group) for group in groups)
        rest = max(0.0, 1 - shared / sum(by_item)) if sum(by_item) > 0 else 0.0
        parts = [(part * rest, df) for part, df in parts] + [(observed.var(ddof=1) / seeds, seeds - 1)]
    return _around(observed.mean(), parts)


def _residual(group: NDArray[np.float64]) -> float:
    """The part of the variance of the mean that comes from the residuals of a (seeds, items) array."""
    seeds, items = group.shape
    residuals = group - group.mean(0) - group.mean(1, keepdims=True) + group.mean()
    return float((residuals**2).sum() / ((seeds - 1) * (items - 1)) / (seeds * items))


def _around(mean: float, parts: Sequence[tuple[float, int]]) -> Interval:
    """The interval of a sum of independent parts. Each part is a variance and its degrees of freedom.

    Each part has a half-width by Student's t; the squares of the half-widths are added (Howe 1974; Zou and Donner
    2008). Satterthwaite's degrees of freedom would give too narrow intervals with two seeds.
    """
    half = float(np.sqrt(sum(stats.t.ppf((1 + LEVEL) / 2, df) ** 2 * part for part, df in parts)))
    return Interval(float(mean), float(mean) - half, float(mean) + half)
