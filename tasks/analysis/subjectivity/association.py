"""How a loss goes with the subjectivity of tasks: rank correlations over few tasks.

With ten tasks the usual approximations fail (Fisher's z has no width at a perfect correlation, a bootstrap repeats
tasks), so that both the interval and the p-value come from the exact situation, simulated: so many tasks, ranked.
What is ranked is measured, and its noise pulls a correlation towards 0: the interval is about measured gaps and
measured subjectivity, which is why their own intervals are not added once more.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.records import Arm, Association, Comparison, Correlation, TaskSubjectivity

Floats = NDArray[np.float64]
Measure = Literal["strength", "disagreement"]

LEVEL = 0.95
MIN_TASKS = 3
DECIMALS = 9
"""Values that agree so far are tied: computed ones differ in their last digits, by processor."""
PERMUTATIONS = 9999
"""All permutations up to 7 tasks, a random choice beyond."""
SIMULATIONS = 8000
GRID = np.concatenate([[-1.0], np.tanh(np.linspace(-4, 4, 51)), [1.0]])
"""Correlations of the normal distributions that ranks are simulated from."""


def spearman(x: Floats, y: Floats) -> Floats:
    """Spearman's rho along the last axis, ties at their mean rank."""
    ranks = [stats.rankdata(values, axis=-1) for values in (x, y)]
    a, b = (rank - rank.mean(-1, keepdims=True) for rank in ranks)
    return np.asarray((a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1)))


def kendall(x: Floats, y: Floats) -> Floats:
    """Kendall's tau-b along the last axis."""
    a, b = (np.sign(values[..., :, None] - values[..., None, :]) for values in (x, y))
    pairs = (-1, -2)
    return np.asarray((a * b).sum(pairs) / np.sqrt((a**2).sum(pairs) * (b**2).sum(pairs)))


Statistic = Callable[[Floats, Floats], Floats]
POPULATION: Mapping[Statistic, Callable[[Floats], Floats]] = {
    spearman: lambda rho: 6 / np.pi * np.arcsin(rho / 2),
    kendall: lambda rho: 2 / np.pi * np.arcsin(rho),
}
"""The correlation of ranks in a normal population with correlation rho (Kruskal 1958)."""


def associate(x: Sequence[float], y: Sequence[float], statistic: Statistic) -> Association | None:
    """A rank correlation over tasks with interval and p-value; null where all values of one side are the same.

    The interval holds every correlation that would give at least and at most the observed one with a chance of 2.5%
    each (Clopper and Pearson's construction, 1934), in a population whose ranks are those of a bivariate normal
    distribution. The p-value is of a two-sided permutation test.
    """
    a, b = (np.asarray(values, np.float64).round(DECIMALS) for values in (x, y))
    if len(a) < MIN_TASKS or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    value = float(statistic(a, b))
    low, high = _interval(value, len(a), statistic)
    return Association(value, min(low, value), max(high, value), _p(a, b, statistic))


def _p(a: Floats, b: Floats, statistic: Statistic) -> float:
    found = stats.permutation_test(
        (a,),
        lambda permuted, axis: statistic(permuted, b),
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=1000,
        axis=-1,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _interval(value: float, n: int, statistic: Statistic) -> tuple[float, float]:
    drawn = _simulated(n, statistic)
    tail = (1 - LEVEL) / 2
    as_large = np.maximum.accumulate((drawn >= value - 1e-9).mean(1))  # rises with the correlation
    as_small = np.maximum.accumulate((drawn <= value + 1e-9).mean(1)[::-1])
    low = np.interp(tail, as_large, GRID)
    high = np.interp(tail, as_small, GRID[::-1])
    low, high = POPULATION[statistic](np.array([low, high]))
    return float(low), float(high)


@cache
def _simulated(n: int, statistic: Statistic) -> Floats:
    """(grid, simulations) correlations of ``n`` tasks, from the same random numbers for all of the grid.

    Each error is there with both signs, so that a correlation and its opposite have mirrored intervals.
    """
    x, e = np.random.default_rng(n).standard_normal((2, SIMULATIONS // 2, n))
    x, e = np.concatenate([x, x]), np.concatenate([e, -e])
    return np.array([statistic(x, rho * x + np.sqrt(1 - rho**2) * e) for rho in GRID])


def correlate(comparisons: Sequence[Comparison], subjectivity: Sequence[TaskSubjectivity]) -> tuple[Correlation, ...]:
    """Of each arm with a gap, over its tasks, one correlation a measure, in the order of the comparisons.

    Arms that train nothing are left out: their gap is not one of training data.
    """
    arms: dict[Arm, dict[str, float]] = {}
    for item in comparisons:
        if item.gap is not None and item.arm.trained:
            arms.setdefault(item.arm.across_tasks, {})[item.arm.task] = item.gap.mean
    measures: tuple[Measure, ...] = ("strength", "disagreement")
    raters = {item.task: item.source for item in subjectivity}
    return tuple(
        _correlation(arm, gaps, measure, measured(subjectivity, measure), raters)
        for arm, gaps in arms.items()
        for measure in measures
    )


def measured(subjectivity: Sequence[TaskSubjectivity], measure: Measure) -> dict[str, float]:
    """Subjectivity by task, of the tasks that have it by this measure."""
    if measure == "strength":
        return {item.task: item.strength.mean for item in subjectivity if item.strength}
    return {item.task: 1 - item.mean_agreement.mean for item in subjectivity if item.mean_agreement}


def _correlation(
    arm: Arm,
    gaps: Mapping[str, float],
    measure: Measure,
    by_task: Mapping[str, float],
    raters: Mapping[str, str],
) -> Correlation:
    tasks = [task for task in gaps if task in by_task]
    if len(tasks) < MIN_TASKS:
        count = f"{len(tasks)} {'task has' if len(tasks) == 1 else 'tasks have'}"
        note = f"{count} both a gap and a measured {measure}; a correlation takes at least {MIN_TASKS}"
        return Correlation(arm, measure, len(tasks), note=note)
    x, y = [by_task[task] for task in tasks], [gaps[task] for task in tasks]
    rho, tau = associate(x, y, spearman), associate(x, y, kendall)
    if rho is None or tau is None:
        return Correlation(arm, measure, len(tasks), note="all tasks have the same gap or the same subjectivity")
    left_out = [task for task in gaps if task not in by_task]
    notes = [f"without {', '.join(left_out)}: no measured {measure}"] if left_out else []
    if measure == "disagreement" and len({raters[task] for task in tasks}) > 1:
        notes.append("the data's own raters of some tasks beside the annotators of others")
    return Correlation(arm, measure, len(tasks), rho, tau, "; ".join(notes))
