"""Every comparison of a study, with figures of its score and gap, and what would decide it."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from tasks.modes import MATCHED_REAL, mode_facts
from tasks.phrases import signed
from tasks.records import Comparison
from tasks.reporting.figure import BAND, FAINT, INK, Figure
from tasks.reporting.grouping import task_names
from tasks.reporting.modes import MARKS, answer, best, place
from tasks.reporting.results import Results
from tasks.reporting.section import Section

LONGEST_LABEL = 28
"""Characters of a label that leave room for the numbers beside it."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a figure: an estimate with its interval, the scores of single seeds, and the text above it."""

    label: str
    mode: str
    value: str
    mean: float | None
    low: float = 0.0
    high: float = 0.0
    dots: tuple[float, ...] = ()


def scores(results: Results, task: str) -> str:
    """Macro-F1 of each kind of training rows for one task, with its 95% interval and a dot for each seed."""
    lines = [_score_line(results, row) for row in results.comparisons if row.task == task]
    shown = [row.macro_f1.low for row in results.comparisons if row.macro_f1]
    floor = max(0.0, min([*shown, 0.9]) - 0.06) // 0.1 * 0.1  # the same scale for all tasks
    return _forest(results, lines, "macro-F1", f"Macro-F1 on real test rows: {task}", span=(floor, 1.0))


def gaps(results: Results, task: str) -> str:
    """Gaps to as many real rows in points of macro-F1, with intervals, for one task."""
    rows = [row for row in results.comparisons if row.task == task and (row.gap or mode_facts(row.mode).synthetic)]
    return _gap_forest(results, [_gap_line(results, row) for row in rows], f"Gap to real rows: {task}")


def overview(results: Results, rows: Sequence[Comparison]) -> str:
    """The gap of one comparison for each task, in one figure; the smallest loss comes first."""
    titles = {task.name: shorten(task.title, LONGEST_LABEL, placeholder=" …") for task in results.tasks}
    ordered = sorted(rows, key=lambda row: -row.gap.mean if row.gap else 0.0)
    lines = [_gap_line(results, row, titles.get(row.task, row.task)) for row in ordered]
    return _gap_forest(results, lines, "Gap to real rows of the best synthetic set of each task")


def _score_line(results: Results, row: Comparison) -> _Line:
    label, score = place(row, results), row.macro_f1
    if score is None:
        return _Line(label, row.mode, "no finished trial", None)
    value = f"{score.mean:.2f} ({score.low:.2f} to {score.high:.2f})"
    return _Line(label, row.mode, value, score.mean, score.low, score.high, seed_scores(results, row))


def seed_scores(results: Results, row: Comparison) -> tuple[float, ...]:
    """Macro-F1 of each finished trial of a comparison."""
    return tuple(cell.macro_f1 for cell in results.cells if cell.arm == row.arm and cell.macro_f1 is not None)


def _gap_line(results: Results, row: Comparison, label: str = "") -> _Line:
    label, gap = label or place(row, results), row.gap
    if gap is None:
        return _Line(label, row.mode, "not known", None)
    mean, low, high = 100 * gap.mean, 100 * gap.low, 100 * gap.high
    mark = MARKS[answer(row)] if answer(row) != "none" else ""
    value = f"{signed(mean, 0)} ({signed(low, 0)} to {signed(high, 0)}) {mark}".strip()
    return _Line(label, row.mode, value, mean, low, high)


def _gap_forest(results: Results, lines: Sequence[_Line], title: str) -> str:
    gaps = [row.gap for row in results.comparisons if row.gap]
    low, high = 100 * min((gap.low for gap in gaps), default=0), 100 * max((gap.high for gap in gaps), default=0)
    span = (min(low, -5) - 2, max(high, 5) + 2)
    band = 100 * results.config.tolerance
    return _forest(results, lines, "points of macro-F1 against as many real rows", title, span, (-band, band))


def _forest(
    results: Results,
    lines: Sequence[_Line],
    unit: str,
    title: str,
    span: tuple[float, float],
    band: tuple[float, float] | None = None,
) -> str:
    spoken = f"{title}. " + "; ".join(f"{line.label}: {line.value}" for line in lines)
    with Figure(results, 38 * len(lines) + 46, spoken) as figure:
        axes = figure.axes(top=2, bottom=44)
        for y, line in enumerate(lines):
            if band:  # one piece for each line, so that it does not cross the numbers
                axes.barh(y + 0.18, band[1] - band[0], left=band[0], height=0.44, color=BAND, linewidth=0)
                axes.plot([0, 0], [y - 0.04, y + 0.4], color=FAINT, linewidth=1)
            _draw_line(axes, y, line, figure.look(line.mode))
        axes.set_xlim(*span)
        axes.set_ylim(len(lines) - 0.4, -0.55)
        axes.set_xlabel(unit, color=INK)
    return figure.svg


def _draw_line(axes: Any, y: int, line: _Line, look: Any) -> None:
    across = axes.get_yaxis_transform()
    axes.text(0.0, y - 0.2, line.label, transform=across, ha="left", va="center", color=INK)
    axes.text(1.0, y - 0.2, line.value, transform=across, ha="right", va="center", color=INK)
    if line.mean is None:
        return
    axes.plot(line.dots, [y + 0.37] * len(line.dots), "o", color=look.light, markersize=3.5, markeredgewidth=0)
    axes.plot([line.low, line.high], [y + 0.18] * 2, color=look.light, linewidth=2.2, solid_capstyle="round")
    axes.plot([line.mean], [y + 0.18], look.marker, color=look.light, markersize=7, markeredgewidth=0)


def power(row: Comparison, results: Results) -> str:
    """How many seeds or test rows would decide an undecided comparison; empty if no feasible number would."""
    gap = row.gap
    if not gap or row.good_enough != "undecided":
        return ""
    seeds, rows = gap.seeds_needed, gap.test_rows_needed
    tested = max((cell.n_test for cell in results.cells if cell.task == row.task), default=0)
    parts = [f"{seeds:,} seeds"] if seeds and seeds > len(row.seeds) else []
    parts += [f"{float(f'{rows:.2g}'):,.0f} test rows"] if rows and rows > tested else []
    return f"about {' or '.join(parts)} would decide" if parts else ""


def of_task(results: Results, task: str) -> list[Comparison]:
    """The comparisons of one task."""
    return [row for row in results.comparisons if row.task == task]


def _variables(results: Results) -> dict[str, Any]:
    by_task = {task: of_task(results, task) for task in task_names(results)}
    return {
        "by_task": by_task,
        "matched_real": MATCHED_REAL,
        "best_rows": [row for row in map(best, by_task.values()) if row],
        "effects": any(row.gap and row.gap.effect is not None for row in results.comparisons if len(row.seeds) > 2),
        "scores": scores,
        "gaps": gaps,
        "overview": overview,
        "power": power,
    }


SECTION = Section(name="comparisons", title="Every comparison", variables=_variables)
