"""Which tasks are the more subjective ones, from comparisons of pairs of tasks (Li et al. 2023, section 3).

Bradley and Terry's model (1952): task i is judged more subjective than j with probability 1 / (1 + exp(s_j - s_i)).
Intervals are in closed form, because a bootstrap has no width where all judges agree, which is where least is known.
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
    """Strengths of tasks, or why there are none."""

    strengths: dict[str, Interval]
    """Log-strength of being the more subjective task, mean 0; empty where the judgements do not allow one scale."""
    comparisons: dict[str, int]
    """Judgements that each task took part in, those with tasks outside the study left out."""
    note: str = ""


def rank_tasks(tasks: Sequence[str], judgements: Sequence[Judgement]) -> Ranking:
    """Strengths of the tasks that were compared with each other.

    The estimate is regularised: each pair starts with 1/n of a judgement either way for n compared tasks. Together
    that is n - 1 judgements, one for each free strength, which is the weight of Jeffreys' prior (Firth 1993; for two
    tasks exactly it), so that a task that won every comparison has a finite strength. The half-width is the larger
    one of the model's (inverse Fisher information) and, with at least two judges, the one that lets judges differ
    (sandwich over judges, Student's t with judges - 1 degrees of freedom; Liang and Zeger 1986). Judgements on tasks
    outside the study are left out. Raises ``UserError`` for a judgement that compares a task with itself.
    """
    used = [j for j in judgements if j.objective in tasks and j.subjective in tasks]
    for judgement in used:
        if judgement.objective == judgement.subjective:
            raise UserError(f"judge {judgement.judge!r} compares task {judgement.objective!r} with itself")
    counts = {task: sum(task in (j.objective, j.subjective) for j in used) for task in tasks}
    compared = [task for task in tasks if counts[task]]
    if not used:
        return Ranking({}, counts, "no pair of the study's tasks was judged")
    wins = _wins(compared, used)
    if connected_components(wins.sum(0), directed=False)[0] > 1:
        return Ranking({}, counts, "the comparisons fall into groups of tasks that were never compared with each other")
    centre, half = _bradley_terry(wins)
    strengths = {
        task: Interval(float(s), float(s - h), float(s + h))
        for task, s, h in zip(compared, centre, half, strict=True)
    }  # fmt: skip
    return Ranking(strengths, counts)


def _wins(tasks: Sequence[str], judgements: Sequence[Judgement]) -> Floats:
    """(judges, tasks, tasks) how often a judge took the first task for more subjective than the second."""
    judges = {name: i for i, name in enumerate(sorted({j.judge for j in judgements}))}
    index = {task: i for i, task in enumerate(tasks)}
    wins = np.zeros((len(judges), len(tasks), len(tasks)))
    for j in judgements:
        wins[judges[j.judge], index[j.subjective], index[j.objective]] += 1
    return wins


def _bradley_terry(wins: Floats) -> tuple[Floats, Floats]:
    """(tasks,) strengths and half-widths of their intervals."""
    import choix

    judges, n, _ = wins.shape
    total = wins.sum(0) + (1 - np.eye(n)) / n
    strengths = choix.ilsr_pairwise_dense(total, max_iter=MAX_ITERATIONS)
    strengths -= strengths.mean()
    chance = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))
    weight = (total + total.T) * chance * (1 - chance)
    # The matrix knows differences only. Its inverse on those sums to 0, like the strengths. A pseudo-inverse would have
    # to tell its eigenvalue of 0 from rounding, which fails at 20 tasks and more, on one processor or another.
    inverse = np.linalg.inv(np.diag(weight.sum(1)) - weight + 1 / n) - 1 / n
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(np.diag(inverse))
    if judges > 1:
        scores = (wins - (wins + wins.transpose(0, 2, 1)) * chance).sum(2)
        robust = inverse @ (scores.T @ scores * judges / (judges - 1)) @ inverse
        wider = stats.t.ppf((1 + LEVEL) / 2, judges - 1) * np.sqrt(np.diag(robust).clip(0))
        half = np.maximum(half, wider)
    return strengths, half
