"""Intervals and p-values of macro-F1 over test items and seeds.

A score is random for two reasons: the choice of test items and the seed of the training. A bootstrap of the test items
(stratified by label, with the same resamples for all seeds and models) measures the first, the variance between seeds
the second. ``variance_parts`` separates the two. ``_with_seeds`` combines them by quantiles of Student's t, because a
bootstrap of two to five seeds gives far too narrow intervals. The interval and the p-value of a gap both use it and
therefore agree. ``make bench-coverage`` simulates their coverage and error rate.
The choice of training rows is not included: with one draw for the whole study, intervals are for that draw.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.analysis.statistics.power import VarianceParts, seeds_needed, test_rows_needed
from tasks.records import Gap, Interval

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Single = NDArray[np.float32]

RESAMPLES = 2000
LEVEL = 0.95
BLOCK = 500
"""Resamples that are computed at once. This limits memory to about 10 MB for each 1,000 test items."""
DRAWN = 8
"""Sets of test items whose draws stay in memory, at 2 MB each for 1,000 items. A curve uses so many in turn."""
SCORED = 64
"""Samples whose resampled scores stay in memory, at 32 KB for each seed. Real rows are compared with many arms."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """Predictions of several trials on the same test items. Results computed from it are cached by its identity."""

    labels: Ints
    """(items,) index of each item's real label."""
    predicted: Ints
    """(trials, items) index of the predicted label. Each trial usually has its own seed."""
    classes: int
    """Number of labels of the task."""


def _indicators(sample: Aligned) -> Single:
    """(items, classes x 2 x seeds): for each label and seed, 1 where it is predicted, and 1 where that is correct.

    Both metrics need only these and the counts of the real labels: F1 of a label is 2 x true positives / (real +
    predicted). The counts for resampled or exchanged items are the matrix product of their weights and this array.
    """
    said = sample.predicted[None] == np.arange(sample.classes)[:, None, None]
    hits = said & (sample.labels == np.arange(sample.classes)[:, None])[:, None]
    found: Single = np.stack([said, hits], axis=1).reshape(-1, len(sample.labels)).T.astype(np.float32)
    return found


def _from_counts(counts: Single, sample: Aligned, metric: str) -> Floats:
    """Scores (resamples, seeds) from weighted counts of ``_indicators`` (resamples, classes x 2 x seeds)."""
    support = np.bincount(sample.labels, minlength=sample.classes).astype(np.float64)
    shaped = counts.astype(np.float64).reshape(len(counts), sample.classes, 2, len(sample.predicted))
    said, hits = shaped[:, :, 0], shaped[:, :, 1]
    if metric == "accuracy":
        return np.asarray(hits.sum(axis=1) / support.sum())
    below = support[:, None] + said
    f1 = np.divide(2 * hits, below, out=np.zeros_like(below), where=below > 0)
    return np.asarray(f1.sum(axis=1) / np.count_nonzero(support))


METRICS = ("macro_f1", "accuracy")
ROUNDING = 1e-5
"""Smaller differences of scores are rounding errors of single precision, which makes the products twice as fast."""


@lru_cache(maxsize=DRAWN)
def _draw_counts(labels: bytes, resamples: int, seed: int) -> NDArray[np.uint8]:
    """(resamples, items): how often each item is drawn with replacement, with one draw fewer than its label has items.

    Comparisons on the same test rows share these counts, which saves most of their time.
    """
    of = np.frombuffer(labels, dtype=np.intp)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((resamples, len(of)), dtype=np.uint8)
    for label, start in itertools.product(np.unique(of), range(0, resamples, BLOCK)):
        members = np.flatnonzero(of == label)
        n, size = len(members), min(BLOCK, resamples - start)
        picks = rng.integers(0, n, (size, max(n - 1, 1))) + n * np.arange(size)[:, None]
        drawn[start : start + size, members] = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n)
    return drawn


def _weights(labels: Ints, resamples: int, seed: int, start: int = 0, stop: int | None = None) -> Single:
    """Weights (resamples, items) of the resamples ``start`` to ``stop``; they sum to the number of items of each label.

    Of a label's n items, n - 1 are drawn, and each draw has the weight n / (n - 1) (Rao and Wu 1988). With n draws, the
    variance would be a tenth too small for a label of ten items.
    """
    counts = np.bincount(labels)[labels]
    worth = counts / np.maximum(counts - 1, 1)
    drawn = _draw_counts(labels.astype(np.intp).tobytes(), resamples, seed)[start:stop].astype(np.float32)
    weights: Single = drawn * worth.astype(np.float32)
    return weights


def scores(sample: Aligned, metric: str) -> Floats:
    """(seeds,) ``macro_f1`` (over the labels of the test set) or ``accuracy`` of each seed."""
    found: Floats = _from_counts(_indicators(sample).sum(axis=0, keepdims=True), sample, metric)[0]
    return found


@lru_cache(maxsize=SCORED)
def _resampled_scores(sample: Aligned, resamples: int, seed: int) -> Mapping[str, Floats]:
    """Scores (resamples, seeds) by metric. Samples of the same test items are scored on the same resamples."""
    columns, parts = _indicators(sample), []
    for start in range(0, resamples, BLOCK):
        counts = _weights(sample.labels, resamples, seed, start, start + BLOCK) @ columns
        parts.append([_from_counts(counts, sample, metric) for metric in METRICS])
    return {metric: np.concatenate(found) for metric, found in zip(METRICS, zip(*parts, strict=True), strict=True)}


def score_interval(sample: Aligned, metric: str, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The mean score over seeds with its 95% interval. With one seed, the interval covers the test items only."""
    observed, resampled = scores(sample, metric), _resampled_scores(sample, resamples, seed)[metric]
    low, high = _interval(observed, resampled, len(sample.labels), seed)
    return Interval(observed.mean().item(), max(low, 0.0), min(high, 1.0))


def gap(
    ours: Aligned, theirs: Aligned, tolerance: float | None = None, *, seed: int = 0, resamples: int = RESAMPLES
) -> Gap:
    """Macro-F1 of ``ours`` minus that of ``theirs``. Both have the same test items, and the same seeds in order.

    The interval uses the same resampled items for both. The p-value is two-sided and not yet corrected. With a
    ``tolerance``, the gap states how many seeds or test rows would show a loss of that size.
    """
    resampled = np.subtract(*(_resampled_scores(side, resamples, seed)["macro_f1"] for side in (ours, theirs)))
    observed = scores(ours, "macro_f1") - scores(theirs, "macro_f1")
    low, high = _interval(observed, resampled, len(ours.labels), seed)
    p = _swap_test(ours, theirs, observed, resampled, seed)
    parts = variance_parts(observed, resampled, len(ours.labels))
    spread = observed.std(ddof=1) if len(observed) > 1 else 0.0
    return Gap(
        mean=observed.mean().item(),
        low=max(low, -1.0),
        high=min(high, 1.0),
        p=p,
        p_corrected=p,
        effect=float(observed.mean() / spread) if spread > 1e-9 else None,
        seeds_needed=None if tolerance is None else seeds_needed(parts, tolerance),
        test_rows_needed=None if tolerance is None else test_rows_needed(parts, tolerance),
    )


def variance_parts(observed: Floats, resampled: Floats, items: int, draws: Floats | None = None) -> VarianceParts:
    """The parts of the variance of a mean over seeds, from observed (seeds,) and resampled (resamples, seeds) values.

    The variance between the observed seeds has two parts: one comes from training, the other from test items on which
    seeds make different errors. The bootstrap measures the second part as the variance of the seeds' deviations from
    each other. The rest of the variance of ``draws`` (draws of the mean, by default those of the bootstrap) comes from
    items on which all seeds make the same errors.
    """
    seeds = len(observed)
    spread = _beyond_rounding((resampled.mean(axis=1) if draws is None else draws).var())
    if seeds < 2:
        return VarianceParts(seeds, items, spread, 0.0, 0.0)
    by_items = _beyond_rounding((resampled - observed).var(axis=1, ddof=1).mean())
    return VarianceParts(
        seeds, items, max(0.0, spread - by_items / seeds), _beyond_rounding(observed.var(ddof=1)), by_items
    )


def _beyond_rounding(variance: np.floating) -> float:
    return float(variance) if variance > ROUNDING**2 else 0.0


def _with_seeds(draws: Floats, parts: VarianceParts, seed: int) -> Floats:
    """``draws`` of a mean over seeds around 0, which vary with the items only, with the variance between seeds added.

    The draws are scaled to the items' part of the variance, and the seeds' part is added as normal noise. A variance
    that is estimated from few seeds is uncertain. Therefore the draws are then widened by the method of Cochran and Cox
    (1950, for two samples with unequal variances): each quantile becomes the mean of the t quantiles of items and of
    seeds, weighted by their shares of the variance. Satterthwaite's degrees of freedom would give too narrow intervals:
    with 3 seeds that differ much, they contain the true value in .925 of all cases instead of .95.
    """
    from scipy.stats import norm, t

    if parts.variance <= 0 or parts.items < 2:
        return draws
    spread = draws.var()
    shrunk = draws * np.sqrt(parts.items_shared / spread) if spread > 0 else draws
    noise = np.random.default_rng([seed, 1]).standard_normal(len(draws))
    mixed = (shrunk + noise * np.sqrt(parts.between_seeds / parts.seeds)) / np.sqrt(parts.variance)
    beyond = np.maximum(norm.sf(np.abs(mixed)), 1e-12)
    stretched = (1 - parts.seeds_share) * t.isf(beyond, parts.items - 1)
    if parts.seeds > 1:
        stretched += parts.seeds_share * t.isf(beyond, parts.seeds - 1)
    combined: Floats = np.sign(mixed) * stretched * np.sqrt(parts.variance)
    return combined


def _interval(observed: Floats, resampled: Floats, items: int, seed: int) -> tuple[float, float]:
    draws = resampled.mean(axis=1) - observed.mean()
    draws = _with_seeds(draws, variance_parts(observed, resampled, items), seed)
    low, high = observed.mean() + np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if high - low < ROUNDING:  # no variance: the rule of three (Hanley and Lippman-Hand 1983), not 0
        low, high = observed.mean() - 3 / items, observed.mean() + 3 / items
    return float(low), float(high)


def _swap_test(ours: Aligned, theirs: Aligned, observed: Floats, resampled: Floats, seed: int) -> float:
    """p-value of a two-sided paired permutation test, which swaps the predictions of the two sides for random items.

    An item is swapped for all seeds at once, because the seeds of one mode make errors on the same items. The variance
    between seeds is added to each draw. The observed value counts as one draw, so p is never 0 (Phipson and Smyth
    2010).
    """
    swaps = _swaps(len(ours.labels), len(resampled), seed)
    items = np.concatenate([np.subtract(*_swapped(ours, theirs, swap)).mean(axis=1) for swap in swaps])
    null = _with_seeds(items, variance_parts(observed, resampled, len(ours.labels), items), seed)
    extreme = np.count_nonzero(np.abs(null) >= abs(observed.mean()) - 1e-12)
    return float((1 + extreme) / (1 + len(null)))


@lru_cache(maxsize=2)
def _swaps(items: int, resamples: int, seed: int) -> tuple[NDArray[np.uint8], ...]:
    """Blocks (resamples, items) with 1 where an item is swapped; the same for all gaps on the same number of items."""
    rng = np.random.default_rng([seed, 2])
    sizes = [min(BLOCK, resamples - start) for start in range(0, resamples, BLOCK)]
    return tuple(rng.integers(0, 2, (size, items), dtype=np.uint8) for size in sizes)


def _swapped(ours: Aligned, theirs: Aligned, swap: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Macro-F1 (resamples, seeds) of both sides after they swapped the items where ``swap`` (resamples, items) is 1."""
    here, there = _indicators(ours), _indicators(theirs)
    moved = swap.astype(np.float32) @ (there - here)
    first = _from_counts(here.sum(axis=0) + moved, ours, "macro_f1")
    return first, _from_counts(there.sum(axis=0) - moved, theirs, "macro_f1")


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979), in the same order."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]]
