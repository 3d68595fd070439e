"""The report's figures: each a function from results to an SVG string.

Figures are as wide as a phone and carry their labels inside, so that a page sets them side by side or one above the
other without making any text too small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from tasks.records import short
from tasks.reporting.figure import BAND, FAINT, INK, NARROW, Figure
from tasks.reporting.modes import BASELINES, judged, mode_name, outcome, place
from tasks.reporting.phrases import MINUS

LONGEST_LABEL = 28
"""Characters of a label that leave room for the numbers beside it."""
STEPS = ("requested", "answered", "parsed", "valid", "unique", "kept")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a figure: an estimate with its interval, single values behind it, and what is written above it."""

    label: str
    mode: str
    value: str
    mean: float | None
    low: float = 0.0
    high: float = 0.0
    dots: tuple[float, ...] = ()


def scores(results: Mapping[str, Any], task: str) -> str:
    """Macro-F1 of each way to get training rows for one task, with its 95% interval and a dot for each seed."""
    lines = [_score_line(results, row) for row in results["comparisons"] if row["task"] == task]
    shown = [row["macro_f1"]["low"] for row in results["comparisons"] if row["macro_f1"]]
    floor = max(0.0, min([*shown, 0.9]) - 0.06) // 0.1 * 0.1  # one scale for all tasks, so that panels compare
    return _forest(results, lines, "macro-F1", f"Macro-F1 on real test rows: {task}", span=(floor, 1.0))


def gaps(results: Mapping[str, Any], task: str) -> str:
    """Points of macro-F1 lost or won against as many real rows, with intervals, for one task."""
    rows = [
        row
        for row in results["comparisons"]
        if row["task"] == task and (row["gap"] or (row["generator"] and row["mode"] not in BASELINES))
    ]
    return _gap_forest(results, [_gap_line(results, row) for row in rows], f"Gap to real rows: {task}")


def overview(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """The gap of one comparison a task, for all tasks together, the smallest loss first."""
    titles = {task["name"]: shorten(task["title"], LONGEST_LABEL, placeholder=" …") for task in results["tasks"]}
    ordered = sorted(rows, key=lambda row: -float(row["gap"]["mean"]))
    lines = [_gap_line(results, row, titles.get(row["task"], row["task"])) for row in ordered]
    return _gap_forest(results, lines, "Gap to real rows of the best synthetic set of each task")


def funnel(results: Mapping[str, Any], mode: str, generator: str) -> str:
    """How many of the requested texts survive each step, over all tasks of one mode and generator."""
    rows = [row for row in results["syntheses"] if row["mode"] == mode and row["generator"] == generator]
    counts = [sum(row[step] for row in rows) for step in STEPS]
    title = f"{mode_name(mode)} · {short(generator)}"
    spoken = f"Yield of {title}: " + ", ".join(f"{n} {step}" for n, step in zip(counts, STEPS, strict=True))
    with Figure(results, 22 * len(STEPS) + 8, spoken, NARROW) as figure:
        axes = figure.axes(top=4, bottom=4)
        colour = figure.look(mode).light
        for y, (step, count) in enumerate(zip(STEPS, counts, strict=True)):
            axes.barh(y, count, left=0, height=0.62, color=colour, alpha=0.25 + 0.13 * y, linewidth=0)
            axes.text(-0.04, y, step, transform=axes.get_yaxis_transform(), ha="right", va="center", color=INK)
            axes.text(count, y, f" {count:,}", ha="left", va="center", color=INK)
        axes.set_xlim(0, max([*counts, 1]) * 1.18)
        axes.set_ylim(len(STEPS) - 0.4, -0.6)
        axes.set_position((0.26, 0.02, 0.72, 0.96))
        axes.axis("off")
    return figure.svg


def _score_line(results: Mapping[str, Any], row: Mapping[str, Any]) -> _Line:
    label, score = place(row, results), row["macro_f1"]
    if score is None:
        return _Line(label, row["mode"], "no finished trial", None)
    value = f"{score['mean']:.2f} ({score['low']:.2f} to {score['high']:.2f})"
    return _Line(label, row["mode"], value, score["mean"], score["low"], score["high"], seed_scores(results, row))


def seed_scores(results: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[float, ...]:
    """Macro-F1 of each finished trial of a comparison; smaller baselines of short syntheses are not among them."""
    same = ("task", "mode", "generator", "classifier")
    cells = [cell for cell in results["cells"] if all(cell[part] == row[part] for part in same)]
    wanted = [cell for cell in cells if row["generator"] or cell["n_train"] == row["n_train"]]
    return tuple(cell["macro_f1"] for cell in wanted if cell["macro_f1"] is not None)


def _gap_line(results: Mapping[str, Any], row: Mapping[str, Any], label: str = "") -> _Line:
    label, gap = label or place(row, results), row["gap"]
    if gap is None:
        return _Line(label, row["mode"], "not known", None)
    mean, low, high = (100 * gap[part] for part in ("mean", "low", "high"))
    state = outcome(row, _tolerance(results)) if judged(row) else "none"
    word = {"yes": "ok", "no": "worse", "undecided": "undecided", "none": ""}[state]
    return _Line(
        label,
        row["mode"],
        f"{mean:+.0f} ({low:+.0f} to {high:+.0f}) {word}".strip().replace("-", MINUS),
        mean,
        low,
        high,
    )


def _tolerance(results: Mapping[str, Any]) -> float:
    return float(results["config"]["tolerance"])


def _gap_forest(results: Mapping[str, Any], lines: Sequence[_Line], title: str) -> str:
    rows = [row["gap"] for row in results["comparisons"] if row["gap"]]
    low, high = (100 * pick([row[end] for row in rows], default=0) for pick, end in ((min, "low"), (max, "high")))
    span = (min(low, -5) - 2, max(high, 5) + 2)
    band = 100 * _tolerance(results)
    return _forest(results, lines, "points of macro-F1 against as many real rows", title, span, (-band, band))


def _forest(
    results: Mapping[str, Any],
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
            if band:  # a stretch for each line, so that it never runs through the numbers
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
    axes.plot(line.dots, [y + 0.18] * len(line.dots), "o", color=look.light, alpha=0.4, markersize=4, markeredgewidth=0)
    axes.plot([line.low, line.high], [y + 0.18] * 2, color=look.light, linewidth=2.2, solid_capstyle="round")
    axes.plot([line.mean], [y + 0.18], look.marker, color=look.light, markersize=7, markeredgewidth=0)
