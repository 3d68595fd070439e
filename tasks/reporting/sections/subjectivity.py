"""How subjective the tasks are, and whether the gap depends on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tasks.phrases import count, signed, signed_points
from tasks.records import Correlation, Gap, Interval, TaskSubjectivity, short
from tasks.reporting.figure import BAND, FAINT, INK, NARROW, Figure, value_axis
from tasks.reporting.grouping import classifiers, rating, task_names, titles
from tasks.reporting.modes import Look, all_synthetic, llm, mode_name, place
from tasks.reporting.results import Results, Subjectivity
from tasks.reporting.section import AnalysisInputs, Panel, Section

Measure = Literal["strength", "disagreement"]
"""Measure of a task's subjectivity: by comparisons of tasks, or by the disagreement of raters."""


AXES: dict[Measure, str] = {
    "strength": "subjectivity by comparisons",
    "disagreement": "disagreement of raters",
}


@dataclass(frozen=True, slots=True)
class Numbered:
    """A point of the figure of gap over subjectivity, with the number of its task in the report."""

    number: int
    task: str
    x: Interval
    mode: str
    gap: Gap
    hollow: bool


def compute(results: Results, inputs: AnalysisInputs) -> Subjectivity:
    """Subjectivity of the tasks and its correlation with gaps. The next section adds the curves."""
    from tasks.analysis.subjectivity.association import correlate  # scipy is slow to import
    from tasks.analysis.subjectivity.rating import rate_tasks

    names = [task.name for task in results.tasks]
    rated = rate_tasks(names, inputs.agreement, inputs.ratings, inputs.judgements)
    return Subjectivity(rated, correlations=correlate(results.comparisons, rated))


def axis(results: Results) -> Measure | None:
    """The measure of subjectivity that at least three tasks have; the paper's measure has priority."""
    known = rating(results).values()
    measures: tuple[Measure, ...] = ("strength", "disagreement")
    return next((name for name in measures if sum(degree(item, name) is not None for item in known) > 2), None)


def degree(item: TaskSubjectivity, measure: Measure) -> Interval | None:
    """A task's subjectivity by one measure; higher is more subjective."""
    if measure == "strength":
        return item.strength
    agreement = item.mean_agreement
    return Interval(1 - agreement.mean, 1 - agreement.high, 1 - agreement.low) if agreement else None


def numbered(results: Results, measure: Measure) -> dict[tuple[str, str | None], list[Numbered]]:
    """Points of gap over subjectivity by (mode, generator), for training sets with only generated rows."""
    rated, number = rating(results), {name: place for place, name in enumerate(task_names(results), 1)}
    first = classifiers(results)[:1]
    found: dict[tuple[str, str | None], list[Numbered]] = {}
    for row in results.comparisons:
        x = degree(rated[row.task], measure) if row.task in rated else None
        if x and row.gap and all_synthetic(row):
            point = Numbered(number[row.task], row.task, x, row.mode, row.gap, row.classifier not in first)
            found.setdefault((row.mode, llm(row)), []).append(point)
    return {key: chosen for key, chosen in found.items() if len({point.task for point in chosen}) > 2}


def association(item: Correlation) -> str:
    """A correlation of gap and subjectivity as text, with its interval, or why there is none."""
    found = item.spearman
    if not found:
        return item.note or "no correlation could be computed"
    numbers = f"Spearman {signed(found.value)}, 95% {signed(found.low)} to {signed(found.high)}"
    if found.high < 0:
        meaning = "the more subjective the task, the larger the loss"
    elif found.low > 0:
        meaning = "the more subjective the task, the smaller the loss"
    else:
        lean = "larger" if found.value < 0 else "smaller"
        meaning = f"undecided: subjective tasks tend to {lean} losses, but the interval contains 0"
    return f"{meaning} ({numbers}, {count(item.tasks, 'task')})"


def correlations(results: Results) -> list[str]:
    """The correlation of gap and subjectivity for each mode, by the measure that the report draws."""
    measure = axis(results)
    rows = [row for row in results.subjectivity.correlations if row.measure == measure]
    return [f"{place(row, results)}: {association(row)}." for row in rows]


def ends(results: Results) -> list[str]:
    """The most objective and the most subjective task, and the measure."""
    rated, names, named = rating(results), task_names(results), titles(results)
    known = [name for name in names if name in rated]
    if len(known) < 2:
        return []
    first = rated[known[0]]
    by = "comparisons of tasks" if first.rank and first.strength else "the agreement of raters"
    first_title, last_title = named[known[0]], named[known[-1]]
    return [f"By {by}, the most objective task is “{first_title}” and the most subjective one “{last_title}”."]


def _gaps(results: Results) -> list[Panel]:
    measure = axis(results)
    found = numbered(results, measure) if measure else {}
    gaps = [point.gap for points in found.values() for point in points]
    if not measure or not gaps:
        return []
    low, high = min(100 * gap.low for gap in gaps), max(100 * gap.high for gap in gaps)
    span = (min(low, -5) - 2, max(high, 5) + 0.12 * (high - low) + 2)
    several = len({generator for _, generator in found if generator}) > 1
    panels = []
    for (mode, generator), points in found.items():
        title = mode_name(mode) + (f" · {short(generator)}" if several and generator else "")
        svg = gap_over_subjectivity(results, points, title, measure, span)
        panels.append(Panel(title, svg, _associations(results, mode, generator, measure)))
    return panels


def _associations(results: Results, mode: str, generator: str | None, measure: Measure) -> list[str]:
    rows = [
        row
        for row in results.subjectivity.correlations
        if (row.mode, row.measure) == (mode, measure) and generator in (None, row.source)
    ]
    several = len({row.classifier for row in rows}) > 1
    return [(f"{short(row.classifier)}: " if several else "") + association(row) + "." for row in rows]


def gap_over_subjectivity(
    results: Results, points: Sequence[Numbered], title: str, unit: Measure, span: tuple[float, float]
) -> str:
    """Gap in points over subjectivity for one mode: a numbered marker for each task."""
    spoken = f"{title}: gap over {AXES[unit]}. " + "; ".join(
        f"{point.task}: {signed_points(point.gap.mean)} at {point.x.mean:.2f}" for point in points
    )
    with Figure(results, 250, spoken, NARROW + 40) as figure:
        axes = figure.axes(top=10, bottom=44, left=0.17)
        band = 100 * results.config.tolerance
        axes.axhspan(-band, band, color=BAND, linewidth=0)
        axes.axhline(0, color=FAINT, linewidth=1)
        wide = max(point.x.mean for point in points) - min(point.x.mean for point in points)
        for point in points:
            _point(axes, point, figure.look(point.mode), 0.012 * wide)
        _numbers(axes, points, span)
        axes.set_ylim(*span)
        axes.margins(x=0.08)
        axes.set_xlabel(AXES[unit] + " →", color=INK)
        value_axis(axes, "points of macro-F1")
    return figure.svg


def _point(axes: Any, point: Numbered, look: Look, aside: float) -> None:
    """Draw a point. Several classifiers of one task are drawn side by side."""
    shift = aside if point.hollow else -aside
    gap, x = point.gap, Interval(point.x.mean + shift, point.x.low + shift, point.x.high + shift)
    fill = "none" if point.hollow else look.light
    axes.plot([x.low, x.high], [100 * gap.mean] * 2, color=look.light, alpha=0.3, linewidth=1.2)
    axes.plot([x.mean] * 2, [100 * gap.low, 100 * gap.high], color=look.light, alpha=0.75, linewidth=1.6)
    axes.plot([x.mean], [100 * gap.mean], look.marker, color=look.light, markerfacecolor=fill, markersize=7)


def _numbers(axes: Any, points: Sequence[Numbered], span: tuple[float, float]) -> None:
    """Draw each task's number above its highest interval; numbers that would overlap are stacked."""
    tops: dict[int, tuple[float, float]] = {}
    for point in points:
        top = 100 * point.gap.high
        tops[point.number] = (point.x.mean, max(top, tops.get(point.number, (0.0, top))[1]))
    width = max(x for x, _ in tops.values()) - min(x for x, _ in tops.values()) or 1.0
    line = (span[1] - span[0]) * 0.065
    placed: list[tuple[float, float]] = []
    for number, (x, top) in sorted(tops.items(), key=lambda item: item[1]):
        y = min(top, span[1] - 1.2 * line) + 0.2 * line
        while any(abs(x - other) < 0.05 * width and abs(y - height) < line for other, height in placed):
            y += line
        placed.append((x, y))
        axes.text(x, y, str(number), ha="center", va="bottom", color=INK, fontsize=11)


def _variables(results: Results) -> dict[str, Any]:
    return {
        "correlations": results.subjectivity.correlations,
        "ends": ends(results),
        "gap_panels": _gaps(results),
    }


SECTION = Section(
    name="subjectivity",
    title="Subjectivity of the tasks",
    compute=compute,
    stored_in="subjectivity",
    sentences=lambda results: [*ends(results), *correlations(results)],
    variables=_variables,
)
