"""Whether a study's numbers confirm the findings of Li et al. (2023), by rules that do not depend on the numbers.

A finding states that one or more differences are positive. Each difference is computed between cells of the same task,
generator and classifier. It is averaged within each task. The mean over tasks then has a 95% interval (Student's t):

- confirmed: the intervals of all differences are above 0;
- refuted: the interval of at least one difference is below 0;
- undecided: all other cases. One task alone is always undecided, because a finding is about tasks in general.

The finding that the gap grows with subjectivity is decided by Spearman's correlation between the subjectivity and the
mean gap of the tasks: confirmed if its interval is below 0, refuted if it is above 0, otherwise undecided. Subjectivity
is the strength from comparisons of tasks, as in the paper; if no task has a strength, it is the raters' disagreement.

Only the modes of the paper count. A finding is left out if the study lacks its modes. The intervals are not corrected
for the number of findings.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Literal

from tasks.analysis.statistics.intervals import mean_interval
from tasks.analysis.subjectivity.association import MIN_TASKS, Measure, associate, measured, spearman
from tasks.modes import MATCHED_REAL
from tasks.phrases import count, signed, signed_points
from tasks.records import (
    Arm,
    Comparison,
    Configured,
    Curve,
    Finding,
    Interval,
    Synthesis,
    TaskSubjectivity,
    TaskSummary,
)

Verdict = Literal["confirmed", "refuted", "undecided"]

ORDER = (MATCHED_REAL, "few_shot", "zero_shot")
"""Modes of the paper, in its order from the best score to the worst."""
SYNTHETIC = ORDER[1:]
NAMES = {MATCHED_REAL: "real", "few_shot": "few-shot", "zero_shot": "zero-shot"}
DIVERSITY = {"remote_clique": "Remote Clique", "chamfer": "Chamfer distance"}

Cell = tuple[str, Configured | None, Configured | None, int | None]
"""Task, source, classifier and size, within which modes are compared; null where a measure does not depend on it."""
Values = Mapping[str, Mapping[Cell, float]]
"""Values by mode and cell."""


def find(
    comparisons: Sequence[Comparison],
    syntheses: Sequence[Synthesis],
    tasks: Sequence[TaskSummary],
    curves: Sequence[Curve],
    subjectivity: Sequence[TaskSubjectivity],
) -> tuple[Finding, ...]:
    """The findings whose modes the study has."""
    modes = {item.arm.mode for item in comparisons}
    present = [mode for mode in ORDER if mode in modes]
    found: list[Finding] = []
    if len(present) > 1:
        found.append(_score_order(present, comparisons))
        found += [_diversity_order(present, syntheses, tasks, measure) for measure in DIVERSITY]
    if len(present) > 1 and MATCHED_REAL in present:
        found += [_grows(comparisons, subjectivity), _steeper(curves)]
    if set(SYNTHETIC) <= modes:
        found.append(_closeness(syntheses))
    return tuple(found)


def _score_order(modes: Sequence[str], comparisons: Sequence[Comparison]) -> Finding:
    claim = f"Classifiers score in this order: {_in_order(modes)}."
    return _decide("score", claim, _links(modes, comparisons), signed_points, "points of macro-F1")


def _links(modes: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, dict[str, float]]:
    """Differences between neighbouring modes by task: of gaps if there are matched real rows, otherwise of macro-F1."""
    gaps: dict[str, dict[Cell, float]] = {mode: {} for mode in modes}
    plain: dict[str, dict[Cell, float]] = {mode: {} for mode in modes}
    for item in comparisons:
        arm = item.arm
        cell = arm.task, arm.source, arm.classifier, arm.size
        if arm.mode in modes and item.macro_f1 and arm.source is not None:
            plain[arm.mode][cell] = item.macro_f1.mean
        if arm.mode in modes and item.gap:
            gaps[arm.mode][cell] = item.gap.mean
    if MATCHED_REAL not in modes:
        return _differences(modes, plain)
    cells = {cell for of_mode in gaps.values() for cell in of_mode}
    return _differences(modes, gaps | {MATCHED_REAL: dict.fromkeys(cells, 0.0)})


def _diversity_order(
    modes: Sequence[str], syntheses: Sequence[Synthesis], tasks: Sequence[TaskSummary], measure: str
) -> Finding:
    values = _of_syntheses(syntheses, lambda item: item.diversity, measure)
    real = {item.name: item.diversity[measure] for item in tasks if measure in item.diversity}
    cells = {cell for of_mode in values.values() for cell in of_mode}
    values[MATCHED_REAL] = {cell: real[cell[0]] for cell in cells if cell[0] in real}
    claim = f"Texts are diverse in this order, by {DIVERSITY[measure]}: {_in_order(modes)}."
    return _decide(f"diversity_{measure}", claim, _differences(modes, values), _cosine, "in cosine distance")


def _closeness(syntheses: Sequence[Synthesis]) -> Finding:
    values = _of_syntheses(syntheses, lambda item: item.similarity, "top_5")
    claim = "Few-shot texts lie closer to real texts than zero-shot texts (mean of the five largest cosines)."
    return _decide("closeness", claim, _differences(SYNTHETIC, values), _cosine, "in cosine")


def _of_syntheses(
    syntheses: Sequence[Synthesis], part: Callable[[Synthesis], Mapping[str, float]], measure: str
) -> dict[str, dict[Cell, float]]:
    """A measure of the syntheses by mode and cell, averaged over draws."""
    drawn: dict[str, dict[Cell, list[float]]] = {}
    for item in syntheses:
        if item.mode in SYNTHETIC and measure in part(item):
            cell = item.task, item.source, None, None
            drawn.setdefault(item.mode, {}).setdefault(cell, []).append(part(item)[measure])
    return {mode: {cell: fmean(values) for cell, values in cells.items()} for mode, cells in drawn.items()}


def _grows(comparisons: Sequence[Comparison], subjectivity: Sequence[TaskSubjectivity]) -> Finding:
    measure: Measure = "strength" if measured(subjectivity, "strength") else "disagreement"
    by_task, gaps = measured(subjectivity, measure), _mean_gaps(comparisons)
    tasks = [task for task in gaps if task in by_task]
    claim = "The more subjective a task, the more is lost by training on synthetic texts."
    name = "subjective_tasks"
    if len(tasks) < MIN_TASKS:
        evidence = (
            f"{count(len(tasks), 'task')} with both a gap and a measured subjectivity; at least {MIN_TASKS} are needed."
        )
        return Finding(name, claim, "undecided", evidence)
    found = associate([by_task[task] for task in tasks], [gaps[task] for task in tasks], spearman)
    if found is None:
        return Finding(name, claim, "undecided", "All tasks have the same gap or the same subjectivity.")
    p = f"p {found.p:.3f}" if found.p >= 0.001 else "p < 0.001"
    against = "comparisons of tasks" if measure == "strength" else "the raters' disagreement"
    evidence = (
        f"Spearman's correlation of the mean gap with subjectivity by {against}: {signed(found.value)} "
        f"({signed(found.low)} to {signed(found.high)}, {p}) over {count(len(tasks), 'task')}; negative means that "
        "subjective tasks lose more."
    )
    return Finding(name, claim, _verdict([Interval(-found.value, -found.high, -found.low)]), evidence)


def _mean_gaps(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Mean gap over the synthetic modes by task. A task is left out if one of its arms has no gap."""
    relevant = [item for item in comparisons if item.arm.mode in SYNTHETIC]
    gaps: dict[str, dict[Arm, float]] = {}
    for item in relevant:
        if item.gap:
            gaps.setdefault(item.arm.task, {})[item.arm.across_tasks] = item.gap.mean
    arms = {item.arm.across_tasks for item in relevant}
    return {task: fmean(found.values()) for task, found in gaps.items() if set(found) == arms}


def _steeper(curves: Sequence[Curve]) -> Finding:
    by_task: dict[str, list[float]] = {}
    for curve in curves:
        if curve.arm.mode in SYNTHETIC and curve.steeper:
            by_task.setdefault(curve.arm.task, []).append(curve.steeper.mean)
    differences = {task: fmean(values) for task, values in by_task.items()}
    claim = "Accuracy rises more steeply with raters' agreement after training on synthetic texts than on real ones."
    named = {"slope after synthetic − real": differences}
    return _decide("subjective_texts", claim, named, signed_points, "points of accuracy")


def _differences(modes: Sequence[str], values: Values) -> dict[str, dict[str, float]]:
    """For each pair of neighbouring modes, the mean difference by task."""
    found = {}
    for better, worse in pairwise(modes):
        ours, theirs = values.get(better, {}), values.get(worse, {})
        by_task: dict[str, list[float]] = {}
        for cell, value in ours.items():
            if cell in theirs:
                by_task.setdefault(cell[0], []).append(value - theirs[cell])
        found[f"{NAMES[better]} − {NAMES[worse]}"] = {task: fmean(values) for task, values in by_task.items()}
    return found


def _decide(
    name: str, claim: str, differences: Mapping[str, Mapping[str, float]], show: Callable[[float], str], unit: str
) -> Finding:
    """A finding that all ``differences`` (by name, then by task) are positive. ``show`` formats one difference."""
    intervals = [mean_interval(list(by_task.values())) for by_task in differences.values()]
    pairs = zip(differences.items(), intervals, strict=True)
    evidence = [_evidence(item, by_task, interval, show) for (item, by_task), interval in pairs]
    return Finding(name, claim, _verdict(intervals), f"{'; '.join(evidence)} ({unit}).")


def _verdict(intervals: Sequence[Interval | None]) -> Verdict:
    if any(interval and interval.high < 0 for interval in intervals):
        return "refuted"
    if all(interval and interval.low > 0 for interval in intervals):
        return "confirmed"
    return "undecided"


def _evidence(name: str, by_task: Mapping[str, float], interval: Interval | None, show: Callable[[float], str]) -> str:
    if interval:
        span = f"{show(interval.low)} to {show(interval.high)}"
        return f"{name}: {show(interval.mean)} ({span}) over {count(len(by_task), 'task')}"
    if by_task:
        (value,) = by_task.values()
        return f"{name}: {show(value)} in one task, which gives no interval over tasks"
    return f"{name}: not measured"


def _cosine(difference: float) -> str:
    return signed(difference, 3)


def _in_order(modes: Sequence[str]) -> str:
    return " > ".join(NAMES[mode] for mode in modes)
