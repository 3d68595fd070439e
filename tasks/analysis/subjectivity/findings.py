"""The findings of Li et al. (2023), tested on a study's own numbers by rules that were fixed beforehand.

A finding is one or more differences that the paper says are positive. Each is taken within a task, between cells of
the same generator and classifier, averaged there, and then over tasks with Student's t interval (95%):

- confirmed: the intervals of all its differences lie above 0;
- refuted: the interval of one of them lies below 0 (a chain breaks at one link);
- undecided: anything else, a single task included, because a finding is about tasks.

That the gap grows with subjectivity is decided by the interval of Spearman's correlation between tasks' subjectivity
and their mean gap: confirmed below 0, refuted above, else undecided. Subjectivity is the strength from comparisons,
the paper's measure, and raters' disagreement only where no task has a strength. Only modes that the paper has count.
A finding whose modes the study lacks is not listed. Intervals are not corrected for the number of findings.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from tasks.analysis.statistics.intervals import mean_interval
from tasks.analysis.subjectivity.association import MIN_TASKS, Measure, associate, measured, spearman
from tasks.modes import MATCHED_REAL
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
"""From best to worst, as the paper has it."""
SYNTHETIC = ORDER[1:]
NAMES = {MATCHED_REAL: "real", "few_shot": "few-shot", "zero_shot": "zero-shot"}
DIVERSITY = {"remote_clique": "Remote Clique", "chamfer": "Chamfer distance"}

Cell = tuple[str, Configured | None, Configured | None, int | None]
"""What modes are compared within: task, source, classifier and size; null where a measure does not know them."""
Values = Mapping[str, Mapping[Cell, float]]
"""Mode to cell to value."""


def find(
    comparisons: Sequence[Comparison],
    syntheses: Sequence[Synthesis],
    tasks: Sequence[TaskSummary],
    curves: Sequence[Curve],
    subjectivity: Sequence[TaskSubjectivity],
) -> tuple[Finding, ...]:
    """All findings that the study has the modes for."""
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
    claim = f"Classifiers score in this order: {_chain(modes)}."
    return _decide(
        "score", claim, _links(modes, comparisons), lambda value: f"{100 * value:+.1f}", "points of macro-F1"
    )


def _links(modes: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, dict[str, float]]:
    """Differences by task, of matched size where there are matched real rows, else of plain macro-F1."""
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
    claim = f"Texts are diverse in this order, by {DIVERSITY[measure]}: {_chain(modes)}."
    return _decide(f"diversity_{measure}", claim, _differences(modes, values), _plain, "in cosine distance")


def _closeness(syntheses: Sequence[Synthesis]) -> Finding:
    values = _of_syntheses(syntheses, lambda item: item.similarity, "top_5")
    claim = "Few-shot texts lie closer to real texts than zero-shot texts (mean of the five largest cosines)."
    return _decide("closeness", claim, _differences(SYNTHETIC, values), _plain, "in cosine")


def _of_syntheses(
    syntheses: Sequence[Synthesis], part: Callable[[Synthesis], Mapping[str, float]], measure: str
) -> dict[str, dict[Cell, float]]:
    """Means over draws."""
    drawn: dict[str, dict[Cell, list[float]]] = {}
    for item in syntheses:
        if item.mode in SYNTHETIC and measure in part(item):
            cell = item.task, item.source, None, None
            drawn.setdefault(item.mode, {}).setdefault(cell, []).append(part(item)[measure])
    return {mode: {cell: _mean(values) for cell, values in cells.items()} for mode, cells in drawn.items()}


def _grows(comparisons: Sequence[Comparison], subjectivity: Sequence[TaskSubjectivity]) -> Finding:
    measure: Measure = "strength" if measured(subjectivity, "strength") else "disagreement"
    by_task, gaps = measured(subjectivity, measure), _mean_gaps(comparisons)
    tasks = [task for task in gaps if task in by_task]
    claim = "The more subjective a task, the more is lost by training on synthetic texts."
    name = "subjective_tasks"
    if len(tasks) < MIN_TASKS:
        evidence = f"{_count(len(tasks))} with both a gap and a measured subjectivity; at least {MIN_TASKS} are needed."
        return Finding(name, claim, "undecided", evidence)
    found = associate([by_task[task] for task in tasks], [gaps[task] for task in tasks], spearman)
    if found is None:
        return Finding(name, claim, "undecided", "All tasks have the same gap or the same subjectivity.")
    p = f"p {found.p:.3f}" if found.p >= 0.001 else "p < 0.001"
    against = "comparisons of tasks" if measure == "strength" else "the raters' disagreement"
    evidence = (
        f"Spearman's correlation of the mean gap with subjectivity by {against}: {found.value:+.2f} "
        f"({found.low:+.2f} to {found.high:+.2f}, {p}) over {_count(len(tasks))}; negative means that "
        "subjective tasks lose more."
    )
    return Finding(name, claim, _verdict([Interval(-found.value, -found.high, -found.low)]), evidence)


def _mean_gaps(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Mean gap of the paper's synthetic modes by task; a task that lacks one arm of them is left out."""
    relevant = [item for item in comparisons if item.arm.mode in SYNTHETIC]
    gaps: dict[str, dict[Arm, float]] = {}
    for item in relevant:
        if item.gap:
            gaps.setdefault(item.arm.task, {})[item.arm.across_tasks] = item.gap.mean
    arms = {item.arm.across_tasks for item in relevant}
    return {task: _mean(found.values()) for task, found in gaps.items() if set(found) == arms}


def _steeper(curves: Sequence[Curve]) -> Finding:
    by_task: dict[str, list[float]] = {}
    for curve in curves:
        if curve.arm.mode in SYNTHETIC and curve.steeper:
            by_task.setdefault(curve.arm.task, []).append(curve.steeper.mean)
    differences = {task: _mean(values) for task, values in by_task.items()}
    claim = "Accuracy rises more steeply with raters' agreement after training on synthetic texts than on real ones."
    links = {"slope after synthetic − real": differences}
    return _decide("subjective_texts", claim, links, lambda value: f"{100 * value:+.1f}", "points of accuracy")


def _differences(modes: Sequence[str], values: Values) -> dict[str, dict[str, float]]:
    """Each neighbouring pair of modes to its mean difference by task."""
    links = {}
    for better, worse in pairwise(modes):
        ours, theirs = values.get(better, {}), values.get(worse, {})
        by_task: dict[str, list[float]] = {}
        for cell, value in ours.items():
            if cell in theirs:
                by_task.setdefault(cell[0], []).append(value - theirs[cell])
        links[f"{NAMES[better]} − {NAMES[worse]}"] = {task: _mean(found) for task, found in by_task.items()}
    return links


def _decide(
    name: str, claim: str, links: Mapping[str, Mapping[str, float]], show: Callable[[float], str], unit: str
) -> Finding:
    intervals = [mean_interval(list(differences.values())) for differences in links.values()]
    pairs = zip(links.items(), intervals, strict=True)
    told = [_told(link, differences, interval, show) for (link, differences), interval in pairs]
    return Finding(name, claim, _verdict(intervals), f"{'; '.join(told)} ({unit}).")


def _verdict(intervals: Sequence[Interval | None]) -> Verdict:
    if any(interval and interval.high < 0 for interval in intervals):
        return "refuted"
    if all(interval and interval.low > 0 for interval in intervals):
        return "confirmed"
    return "undecided"


def _told(link: str, differences: Mapping[str, float], interval: Interval | None, show: Callable[[float], str]) -> str:
    if interval:
        span = f"{show(interval.low)} to {show(interval.high)}"
        return f"{link}: {show(interval.mean)} ({span}) over {_count(len(differences))}"
    if differences:
        (value,) = differences.values()
        return f"{link}: {show(value)} in one task, which gives no interval over tasks"
    return f"{link}: not measured"


def _plain(value: float) -> str:
    return f"{value:+.3f}"


def _chain(modes: Sequence[str]) -> str:
    return " > ".join(NAMES[mode] for mode in modes)


def _count(tasks: int) -> str:
    return f"{tasks} task" if tasks == 1 else f"{tasks} tasks"


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
