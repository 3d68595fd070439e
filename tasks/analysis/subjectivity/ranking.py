"""How subjective tasks are, from comparisons of pairs of tasks (Li et al. 2023, section 3).

Bradley and Terry's model (1952): task i is judged more subjective than j with probability 1 / (1 + exp(s_j - s_i)).
Intervals are computed in closed form. A bootstrap would give intervals of width 0 where all judges agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse.csgraph import connected_components

from tasks.errors import UserError
from tasks.records import Interval, Judgement

LEVEL = 0.95
MAX_ITERATIONS = 10_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Strengths of tasks, or the reason why there are none."""

    strengths: dict[str, Interval]
    """Strength by task on the logit scale, mean 0; empty if the judgements do not put all tasks on one scale."""
    comparisons: dict[str, int]
    """Number of judgements by task, without those that compare a task with one outside the study."""
    note: str = ""


def rank_tasks(tasks: Sequence[str], judgements: Sequence[Judgement]) -> Ranking:
    """Strengths of the compared tasks, with 95% intervals.

    The estimate is regularised, so that a task which won all its comparisons has a finite strength: each pair of the n
    compared tasks gets 1/n of a judgement in each direction. Together these are n - 1 judgements, as many as there are
    free strengths. This is the weight of Jeffreys' prior (Firth 1993); for two tasks it is exactly that prior.

    The half-width of an interval is the larger of two: that of the model (inverse Fisher information) and, with two
    judges or more, one that takes the differences between judges into account (sandwich estimator over judges,
    Student's t with judges - 1 degrees of freedom; Liang and Zeger 1986).

    Judgements on tasks outside the study are left out. Raises ``UserError`` for a judgement that compares a task with
    itself.
    """
    used = [j for j in judgements if j.objective in tasks and j.subjective in tasks]
    for judgement in used:
        if judgement.objective == judgement.subjective:
            raise UserError(f"judge {judgement.judge!r} compares task {judgement.objective!r} with itself")
    counts = {task: sum(task in (j.objective, j.subjective) for j in used) for task in tasks}
    compared = [task for task in tasks if counts[task]]
    if not used:
        return Ranking({}, counts, "no two tasks of the study were compared")
    wins = _wins(compared, used)
    if connected_components(wins.sum(0), directed=False)[0] > 1:
        return Ranking({}, counts, "the tasks form groups, and no task was compared with one of another group")
    centre, half = _bradley_terry(wins)
    strengths = {
        task: Interval(float(s), float(s - h), float(s + h))
        for task, s, h in zip(compared, centre, half, strict=True)
    }  # fmt: skip
    return Ranking(strengths, counts)


def _wins(tasks: Sequence[str], judgements: Sequence[Judgement]) -> Floats:
    """(judges, tasks, tasks): how often the judge judged the first task more subjective than the second."""
    judges = {name: i for i, name in enumerate(sorted({j.judge for j in judgements}))}
    index = {task: i for i, task in enumerate(tasks)}
    wins = np.zeros((len(judges), len(tasks), len(tasks)))
    for j in judgements:
        wins[judges[j.judge], index[j.subjective], index[j.objective]] += 1
    return wins


def _bradley_terry(wins: Floats) -> tuple[Floats, Floats]:
    """Strengths, and the half-widths of their intervals: (tasks,) each."""
    import choix

    judges, n, _ = wins.shape
    total = wins.sum(0) + (1 - np.eye(n)) / n
    strengths = choix.ilsr_pairwise_dense(total, max_iter=MAX_ITERATIONS)
    strengths -= strengths.mean()
    chance = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))
    weight = (total + total.T) * chance * (1 - chance)
    # The information matrix is singular, because only differences of strengths are known. Adding 1/n to each element
    # before the inversion and subtracting it afterwards gives the inverse for strengths that sum to 0. A pseudo-inverse
    # would have to recognise the eigenvalue 0 by a threshold, which fails for 20 tasks or more on some processors.
    inverse = np.linalg.inv(np.diag(weight.sum(1)) - weight + 1 / n) - 1 / n
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(np.diag(inverse))
    if judges > 1:
        scores = (wins - (wins + wins.transpose(0, 2, 1)) * chance).sum(2)
        robust = inverse @ (scores.T @ scores * judges / (judges - 1)) @ inverse
        wider = stats.t.ppf((1 + LEVEL) / 2, judges - 1) * np.sqrt(np.diag(robust).clip(0))
        half = np.maximum(half, wider)
    return strengths, half
