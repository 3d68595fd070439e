"""Whether the gap depends on the subjectivity of tasks: rank correlations over few tasks.

The usual approximations fail for about ten tasks: Fisher's z gives an interval of width 0 at a perfect correlation, and
a bootstrap draws the same task several times. Therefore the interval comes from simulated rankings of the same number
of tasks, and the p-value from a permutation test.

The correlation is one of measured gaps and measured subjectivity. Their measurement errors pull it towards 0. They are
part of the measured values already, so the intervals of gaps and subjectivity do not widen its interval again.
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
"""Values are rounded to so many decimals before they are ranked, because the last digits depend on the processor."""
PERMUTATIONS = 9999
"""Most permutations of the test: up to 7 tasks it takes all of them, otherwise so many random ones."""
SIMULATIONS = 8000
GRID = np.concatenate([[-1.0], np.tanh(np.linspace(-4, 4, 51)), [1.0]])
"""Correlations of the bivariate normal distributions from which rankings are simulated."""


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
    """A rank correlation over tasks with a 95% interval and a p-value.

    Null if there are fewer than ``MIN_TASKS`` tasks, or if all values of ``x`` or of ``y`` are equal. The interval
    holds each population correlation for which a correlation at least as high as the observed one, and one at least as
    low, have a probability of 2.5% or more (Clopper and Pearson 1934). The population is bivariate normal. The p-value
    is that of a two-sided permutation test.
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
    """Simulated correlations of ``n`` tasks: (grid, simulations), from the same random numbers all over the grid.

    Each error is used with both signs. Therefore the interval of the opposite correlation is the mirrored interval.
    """
    x, e = np.random.default_rng(n).standard_normal((2, SIMULATIONS // 2, n))
    x, e = np.concatenate([x, x]), np.concatenate([e, -e])
    return np.array([statistic(x, rho * x + np.sqrt(1 - rho**2) * e) for rho in GRID])


def correlate(comparisons: Sequence[Comparison], subjectivity: Sequence[TaskSubjectivity]) -> tuple[Correlation, ...]:
    """For each arm with gaps, the correlation of gap and subjectivity over tasks, one for each measure of subjectivity.

    The result is in the order of the comparisons. Arms without training are left out, because training data does not
    cause their gap.
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
    """Subjectivity by task, for the tasks that have this measure."""
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
        note = f"{count} both a gap and a measured {measure}; a correlation needs at least {MIN_TASKS}"
        return Correlation(arm, measure, len(tasks), note=note)
    x, y = [by_task[task] for task in tasks], [gaps[task] for task in tasks]
    rho, tau = associate(x, y, spearman), associate(x, y, kendall)
    if rho is None or tau is None:
        return Correlation(arm, measure, len(tasks), note="all tasks have the same gap or the same subjectivity")
    left_out = [task for task in gaps if task not in by_task]
    notes = [f"without {', '.join(left_out)}: no measured {measure}"] if left_out else []
    if measure == "disagreement" and len({raters[task] for task in tasks}) > 1:
        notes.append("some tasks were rated by the data's own raters, others by annotators")
    return Correlation(arm, measure, len(tasks), rho, tau, "; ".join(notes))
