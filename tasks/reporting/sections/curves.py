"""Accuracy on the test rows with a minimum agreement of raters."""

from collections.abc import Sequence
from typing import Any

from tasks.modes import MATCHED_REAL
from tasks.phrases import among, sentence, times
from tasks.records import Curve, Interval
from tasks.reporting.figure import INK, NARROW, Figure, lowest_tenth, value_axis
from tasks.reporting.grouping import by_mode, in_order, pairs, task_names, titles
from tasks.reporting.modes import all_synthetic, llm, mode_name
from tasks.reporting.results import Results
from tasks.reporting.section import AnalysisInputs, Group, Panel, Section


def compute(results: Results, inputs: AnalysisInputs) -> tuple[Curve, ...]:
    """One curve for each arm, by the data's raters, or by the annotators if the data has none."""
    from tasks.analysis.subjectivity.agreement import item_agreement  # scipy is slow to import
    from tasks.analysis.subjectivity.curves import make_curves

    tasks = [task.name for task in results.tasks]
    return make_curves(results.cells, item_agreement(tasks, inputs.agreement, inputs.ratings), inputs.store)


def of_tasks(results: Results, classifier: str, generator: str | None) -> dict[str, list[Curve]]:
    """Curves by task for one pair: real rows, and training sets with only generated rows."""
    found: dict[str, list[Curve]] = {}
    for curve in in_order(results, results.subjectivity.curves):
        fits = curve.classifier == classifier and llm(curve) in (None, generator)
        if fits and _is_shown(curve):
            found.setdefault(curve.task, []).append(curve)
    return found


def _is_shown(curve: Curve) -> bool:
    return bool(curve.points) and (curve.mode == MATCHED_REAL or all_synthetic(curve))


def uncurved(results: Results) -> list[tuple[str, list[str]]]:
    """Reasons why tasks have no curve, with the tasks; empty if the study has no curves at all."""
    drawn = {curve.task for curve in results.subjectivity.curves if curve.points}
    notes = {item.task: item.note for item in results.subjectivity.tasks}
    notes |= {item.task: item.note for item in results.subjectivity.curves if item.note}
    found: dict[str, list[str]] = {}
    for task in task_names(results):
        if task not in drawn and notes:
            found.setdefault(notes.get(task) or "its data has no raters and no annotators were asked", []).append(task)
    return list(found.items())


def slopes(results: Results) -> list[str]:
    """For each mode, whether accuracy rises more steeply with agreement than for real rows."""
    known = by_mode(curve for curve in results.subjectivity.curves if curve.steeper and all_synthetic(curve))
    return [_slopes(mode, [curve.steeper for curve in of if curve.steeper]) for mode, of in known.items()]


def _slopes(mode: str, rows: Sequence[Interval]) -> str:
    more = sum(row.mean > 0 for row in rows)
    clear = sum(row.low > 0 for row in rows)
    less = sum(row.high < 0 for row in rows)
    text = f"with {mode_name(mode)} rows accuracy rises more steeply than with real rows in "
    text += f"{among(more, len(rows), 'curve')}, clearly in {times(clear, len(rows))}"
    text = sentence(text + (f", and clearly less in {less}" if less else ""))
    if clear > len(rows) / 2:
        return f"{text} So they lose most on texts that raters disagree about."
    return text if clear or less else f"{text} The intervals are too wide to say that the slopes differ."


def _curves(results: Results, name: str, classifier: str, generator: str | None) -> Group:
    found, named = of_tasks(results, classifier, generator), titles(results)
    floor = lowest_tenth([point.accuracy.low for curve in results.subjectivity.curves for point in curve.points])
    panels = [
        Panel(named[task], accuracy_over_agreement(results, curves, f"{named[task]} {name}", floor))
        for task, curves in found.items()
        if task in named
    ]
    return Group(name, panels)


def accuracy_over_agreement(results: Results, curves: Sequence[Curve], title: str, floor: float) -> str:
    """Accuracy over the minimum agreement of raters: a line with its 95% band for each mode."""
    ends = (
        f"{mode_name(curve.mode)} {curve.points[0].accuracy.mean:.2f} to {curve.points[-1].accuracy.mean:.2f}"
        for curve in curves
    )
    spoken = f"{title}: accuracy over agreement. " + "; ".join(ends)
    with Figure(results, 220, spoken, NARROW) as figure:
        axes = figure.axes(top=10, bottom=60, left=0.17)
        for curve in curves:
            look, x = figure.look(curve.mode), [point.gamma for point in curve.points]
            scores = [point.accuracy for point in curve.points]
            lows, means, highs = ([getattr(s, end) for s in scores] for end in ("low", "mean", "high"))
            axes.fill_between(x, lows, highs, color=look.light, alpha=0.12, linewidth=0)
            axes.plot(x, means, color=look.light, marker=look.marker, markersize=5, linewidth=1.8, markeredgewidth=0)
        shown = curves[0].points
        axes.set_xticks(
            [point.gamma for point in shown], [f"{point.gamma:.2g}\n{_count(point.items)}" for point in shown]
        )
        axes.set_ylim(floor, 1.0)
        axes.set_xlabel("agreement at least / test rows left", color=INK)
        value_axis(axes, "accuracy")
    return figure.svg


def _count(items: int) -> str:
    return f"{items / 1000:.1f}k" if items >= 10_000 else f"{items:,}"


def _variables(results: Results) -> dict[str, Any]:
    drawn = {curve.mode for curve in results.subjectivity.curves if _is_shown(curve)}
    return {
        "curve_groups": [group for group in (_curves(results, *pair) for pair in pairs(results)) if group.panels],
        "curve_modes": [mode for mode in dict.fromkeys(row.mode for row in results.comparisons) if mode in drawn],
        "uncurved": uncurved(results),
    }


SECTION = Section(
    name="curves",
    title="Accuracy over agreement",
    compute=compute,
    stored_in="subjectivity.curves",
    sentences=slopes,
    variables=_variables,
)
