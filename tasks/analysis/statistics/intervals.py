"""95% intervals of plain means and of slopes, in closed form.

Both are sums over items and seeds, whose variance has an unbiased estimate: a bootstrap would give the same for more
time, and with two to five seeds less.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.records import Interval

LEVEL = 0.95


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The mean with Student's t interval, as of independent draws. Null for fewer than two values."""
    if len(values) < 2:
        return None
    found = np.asarray(values, np.float64)
    return _around(found.mean(), [(found.var(ddof=1) / len(found), len(found) - 1)])


def slope_interval(values: NDArray[np.float64], upper: NDArray[np.bool_]) -> Interval:
    """Mean of ``values`` (seeds, items) over the ``upper`` items minus that over all, with the variance of items
    and seeds.

    The difference is (share of the other items) x (mean of upper - mean of the others), two separate groups of items.
    Seeds and items are crossed, so that the variance is that of the item means plus that of the seeds' differences
    minus that of the residuals, which is in both (Cornfield and Tukey 1956). One seed covers the items only. Both
    groups need at least two items.
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
    """Variance that the residuals of (seeds, items) leave in the mean over both."""
    seeds, items = group.shape
    residuals = group - group.mean(0) - group.mean(1, keepdims=True) + group.mean()
    return float((residuals**2).sum() / ((seeds - 1) * (items - 1)) / (seeds * items))


def _around(mean: float, parts: Sequence[tuple[float, int]]) -> Interval:
    """The interval of a sum of independent parts, each a variance with its degrees of freedom.

    Half-widths of the parts, each of its own Student's t, are squared and added (Howe 1974; Zou and Donner 2008): with
    two seeds Satterthwaite's degrees of freedom give intervals that are too narrow.
    """
    half = float(np.sqrt(sum(stats.t.ppf((1 + LEVEL) / 2, df) ** 2 * part for part, df in parts)))
    return Interval(float(mean), float(mean) - half, float(mean) + half)
