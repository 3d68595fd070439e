"""Intervals and p-values of macro-F1 over test items and seeds.

A score has two sources of chance: which items stand in the test set, and how the seed fell. The first is measured by
a bootstrap of the test items, stratified by label and shared by all seeds and models; the second by the spread of
the seeds, as a t distribution, because with two to five seeds a bootstrap of the seeds would be far too narrow.
The choice of training rows is not a third source: with one draw for the whole study, intervals are for that draw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.records import Gap, Interval

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

RESAMPLES = 2000
LEVEL = 0.95
BLOCK = 500
"""Resamples computed at once; bounds memory at about 4 MB for each 1,000 test items."""


@dataclass(frozen=True)
class Paired:
    """Predictions of several seeds on the same test items."""

    labels: Ints
    """(items,) index of the real label."""
    predicted: Ints
    """(seeds, items) index of the predicted label."""
    classes: int
    """Number of labels of the task."""


def _macro_f1(labels: Ints, predicted: Ints, classes: int, weights: Floats) -> Floats:
    """(resamples, seeds): ``weights`` (resamples, items) says how often each item stands in each resample.

    F1 of a label is 2 true positives / (real + predicted), so that three weighted counts, which are matrix products,
    give all of it.
    """
    support = weights @ np.eye(classes)[labels]
    total = np.zeros((len(weights), len(predicted)))
    for c in range(classes):
        said = (predicted == c).astype(np.float64)
        denominator = support[:, [c]] + weights @ said.T
        hits = weights @ (said * (labels == c)).T
        total += np.divide(2 * hits, denominator, out=np.zeros_like(total), where=denominator > 0)
    mean: Floats = total / len(np.unique(labels))
    return mean


def _accuracy(labels: Ints, predicted: Ints, classes: int, weights: Floats) -> Floats:
    right = (predicted == labels).astype(np.float64)
    return np.asarray(weights @ right.T / weights.sum(1, keepdims=True))


Metric = Callable[[Ints, Ints, int, Floats], Floats]
METRICS: dict[str, Metric] = {"macro_f1": _macro_f1, "accuracy": _accuracy}


def _weights(labels: Ints, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, items) draws with replacement within each label, so that every resample has the label counts."""
    weights = np.empty((resamples, len(labels)))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        n = len(members)
        drawn = rng.integers(0, n, (resamples, n)) + n * np.arange(resamples)[:, None]
        weights[:, members] = np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n)
    return weights


def scores(sample: Paired, metric: str) -> Floats:
    """(seeds,) ``macro_f1``, over the labels that stand in the test set, or ``accuracy`` of each seed."""
    once = np.ones((1, len(sample.labels)))
    found: Floats = METRICS[metric](sample.labels, sample.predicted, sample.classes, once)[0]
    return found


def score_interval(sample: Paired, metric: str, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The mean score over seeds with its 95% interval. With one seed it covers the chance of the test items only."""
    rng = np.random.default_rng(seed)
    observed, (replicates,) = scores(sample, metric), _replicates([sample], metric, resamples, rng)
    low, high = _interval(observed, replicates, rng)
    return Interval(observed.mean().item(), max(low, 0.0), min(high, 1.0))


def gap(ours: Paired, theirs: Paired, *, seed: int = 0, resamples: int = RESAMPLES) -> Gap:
    """Macro-F1 of ``ours`` minus that of ``theirs``: the same test items, and the same seeds in the same order.

    The interval resamples the items for both at once. The p-value is two-sided and not corrected yet.
    """
    rng = np.random.default_rng(seed)
    replicates = np.subtract(*_replicates([ours, theirs], "macro_f1", resamples, rng))
    observed = scores(ours, "macro_f1") - scores(theirs, "macro_f1")
    low, high = _interval(observed, replicates, rng)
    p = _swap_test(ours, theirs, observed, replicates, rng)
    return Gap(observed.mean().item(), max(low, -1.0), min(high, 1.0), p, p)


def _replicates(samples: Sequence[Paired], metric: str, resamples: int, rng: np.random.Generator) -> list[Floats]:
    """(resamples, seeds) scores of each sample, all on the same resampled items."""
    parts: list[list[Floats]] = [[] for _ in samples]
    for start in range(0, resamples, BLOCK):
        weights = _weights(samples[0].labels, min(BLOCK, resamples - start), rng)
        for part, sample in zip(parts, samples, strict=True):
            part.append(METRICS[metric](sample.labels, sample.predicted, sample.classes, weights))
    return [np.concatenate(part) for part in parts]


def _with_seeds(draws: Floats, observed: Floats, replicates: Floats, rng: np.random.Generator) -> Floats:
    """``draws`` of a mean over seeds, which know the chance of the items only, with that of the seeds added.

    The spread between the observed seeds holds their own chance and, as far as seeds err on different items, a part
    of the items' (the bootstrap says how much). That part is taken out of the draws, so that it does not count twice.
    A variance from few seeds is itself uncertain: hence Student's t with one degree of freedom less than seeds.
    """
    seeds = len(observed)
    if seeds < 2:
        return draws
    by_items = (replicates - observed).var(axis=1, ddof=1).mean() / seeds
    spread = draws.var()
    shrink = np.sqrt(max(0.0, 1 - by_items / spread)) if spread > 0 else 0.0
    noise = rng.standard_t(seeds - 1, len(draws)) * np.sqrt(observed.var(ddof=1) / seeds)
    combined: Floats = draws.mean() + shrink * (draws - draws.mean()) + noise
    return combined


def _interval(observed: Floats, replicates: Floats, rng: np.random.Generator) -> tuple[float, float]:
    draws = _with_seeds(replicates.mean(axis=1), observed, replicates, rng)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _swap_test(ours: Paired, theirs: Paired, observed: Floats, replicates: Floats, rng: np.random.Generator) -> float:
    """Paired permutation test: the two models' predictions change sides at random, item by item.

    An item changes sides for all seeds at once, because seeds of one mode err on the same items; the seeds' own error
    is added to each draw. Two-sided; the observed value counts as one draw, so that p is never 0 (Phipson and Smyth
    2010).
    """
    draws: list[Floats] = []
    for start in range(0, len(replicates), BLOCK):
        size = min(BLOCK, len(replicates) - start)
        swap = rng.integers(0, 2, (size, len(ours.labels))).astype(np.float64)
        draws.append((_swapped(ours, theirs, swap) - _swapped(theirs, ours, swap)).mean(axis=1))
    null = _with_seeds(np.concatenate(draws), observed, replicates, rng)
    extreme = np.count_nonzero(np.abs(null) >= abs(observed.mean()) - 1e-12)
    return (1 + extreme) / (1 + len(null))


def _swapped(kept: Paired, other: Paired, swap: Floats) -> Floats:
    """(resamples, seeds) macro-F1 when an item's prediction is ``other``'s where ``swap`` (resamples, items) is 1."""
    support = np.bincount(kept.labels, minlength=kept.classes)
    total = np.zeros((len(swap), len(kept.predicted)))
    for c in range(kept.classes):
        here, there = ((sample.predicted == c).astype(np.float64) for sample in (kept, other))
        real = (kept.labels == c).astype(np.float64)
        denominator = support[c] + here.sum(1) + swap @ (there - here).T
        hits = here @ real + swap @ ((there - here) * real).T
        total += np.divide(2 * hits, denominator, out=np.zeros_like(total), where=denominator > 0)
    mean: Floats = total / np.count_nonzero(support)
    return mean


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979), in the same order."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]]
