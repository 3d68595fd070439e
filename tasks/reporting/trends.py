"""The study's trend figures: gap over subjectivity, accuracy over agreement, score over the share of synthetic rows.

Panels of one kind share their axes, so that a reader compares them by eye. Of several classifiers the first one's
markers are filled and the others' hollow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.records import Interval
from tasks.reporting.figure import BAND, FAINT, INK, NARROW, Figure
from tasks.reporting.modes import Look, mode_name
from tasks.reporting.sections import ABLATION, Mix, Numbered

Row = Mapping[str, Any]
AXES = {
    "strength": "subjectivity by comparisons",
    "disagreement": "disagreement of raters",
}


def gap_over_subjectivity(
    results: Row, points: Sequence[Numbered], title: str, unit: str, span: tuple[float, float]
) -> str:
    """Gap in points over a measure of subjectivity, a numbered marker a task, for one way to get training rows."""
    spoken = f"{title}: gap over {AXES[unit]}. " + "; ".join(
        f"{point.task}: {100 * point.row['gap']['mean']:+.1f} at {point.x.mean:.2f}" for point in points
    )
    with Figure(results, 250, spoken, NARROW + 40) as figure:
        axes = figure.axes(top=10, bottom=44, left=0.17)
        band = 100 * float(results["config"]["tolerance"])
        axes.axhspan(-band, band, color=BAND, linewidth=0)
        axes.axhline(0, color=FAINT, linewidth=1)
        wide = max(point.x.mean for point in points) - min(point.x.mean for point in points)
        for point in points:
            _point(axes, point, figure.look(point.row["mode"]), 0.012 * wide)
        _numbers(axes, points, span)
        axes.set_ylim(*span)
        axes.margins(x=0.08)
        axes.set_xlabel(AXES[unit] + " →", color=INK)
        _value_axis(axes, "points of macro-F1")
    return figure.svg


def _point(axes: Any, point: Numbered, look: Look, aside: float) -> None:
    """Classifiers of one task stand side by side."""
    shift = aside if point.hollow else -aside
    gap, x = point.row["gap"], Interval(*(value + shift for value in (point.x.mean, point.x.low, point.x.high)))
    fill = "none" if point.hollow else look.light
    axes.plot([x.low, x.high], [100 * gap["mean"]] * 2, color=look.light, alpha=0.3, linewidth=1.2)
    axes.plot([x.mean] * 2, [100 * gap["low"], 100 * gap["high"]], color=look.light, alpha=0.75, linewidth=1.6)
    axes.plot([x.mean], [100 * gap["mean"]], look.marker, color=look.light, markerfacecolor=fill, markersize=7)


def _numbers(axes: Any, points: Sequence[Numbered], span: tuple[float, float]) -> None:
    """Each task's number above its highest interval; numbers that would meet are stacked."""
    tops: dict[int, tuple[float, float]] = {}
    for point in points:
        top = 100 * point.row["gap"]["high"]
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


def _value_axis(axes: Any, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel(name, color=INK)


def accuracy_over_agreement(results: Row, curves: Sequence[Row], title: str, floor: float) -> str:
    """Accuracy on the test rows whose raters agree at least so much, a line with its 95% band for each mode."""
    ends = (f"{mode_name(c['mode'])} {_ends(c['points'])}" for c in curves)
    spoken = f"{title}: accuracy over agreement. " + "; ".join(ends)
    with Figure(results, 220, spoken, NARROW) as figure:
        axes = figure.axes(top=10, bottom=60, left=0.17)
        for curve in curves:
            look, points = figure.look(curve["mode"]), curve["points"]
            x = [point["gamma"] for point in points]
            lows, highs = ([point["accuracy"][end] for point in points] for end in ("low", "high"))
            axes.fill_between(x, lows, highs, color=look.light, alpha=0.12, linewidth=0)
            means = [point["accuracy"]["mean"] for point in points]
            axes.plot(x, means, color=look.light, marker=look.marker, markersize=5, linewidth=1.8, markeredgewidth=0)
        shown = curves[0]["points"]
        axes.set_xticks(
            [point["gamma"] for point in shown], [f"{point['gamma']:.2g}\n{_count(point['items'])}" for point in shown]
        )
        axes.set_ylim(floor, 1.0)
        axes.set_xlabel("agreement at least / test rows left", color=INK)
        _value_axis(axes, "accuracy")
    return figure.svg


def _ends(points: Sequence[Row]) -> str:
    return f"{points[0]['accuracy']['mean']:.2f} to {points[-1]['accuracy']['mean']:.2f}"


def _count(items: int) -> str:
    return f"{items / 1000:.1f}k" if items >= 10_000 else f"{items:,}"


def score_over_share(results: Row, mixes: Sequence[Mix], title: str, floor: float) -> str:
    """Macro-F1 over the percentage of training rows that are synthetic, a line for each way to generate them."""
    said = ("; ".join(f"{x}%: {row['macro_f1']['mean']:.2f}" for x, row in mix.points) for mix in mixes)
    with Figure(
        results, 210, f"{title}: macro-F1 over the share of synthetic rows. " + ". ".join(said), NARROW
    ) as figure:
        axes = figure.axes(top=10, bottom=44, left=0.17)
        for place, mix in enumerate(mixes):
            look = figure.look(mix.base)
            shift = 0.9 * (place - (len(mixes) - 1) / 2)  # intervals side by side
            x = [share + shift for share, _ in mix.points]
            scores = [row["macro_f1"] for _, row in mix.points]
            fill = "none" if mix.hollow else look.light
            axes.vlines(x, [s["low"] for s in scores], [s["high"] for s in scores], color=look.light, alpha=0.5)
            means = [score["mean"] for score in scores]
            axes.plot(x, means, color=look.light, marker=look.marker, markersize=6, markerfacecolor=fill)
        axes.set_xticks(sorted({share for mix in mixes for share, _ in mix.points}))
        axes.set_ylim(floor, 1.0)
        axes.set_xlabel("% of rows that are synthetic", color=INK)
        _value_axis(axes, "macro-F1")
    return figure.svg


def ablation(results: Row, rows: Sequence[tuple[str, Mapping[str, Row]]], floor: float, name: str) -> str:
    """Macro-F1 of each step from the few real examples to matched real rows: a line a task, a marker a step."""
    said = (f"{title}: " + ", ".join(f"{mode_name(m)} {_mean(steps[m]):.2f}" for m in steps) for title, steps in rows)
    with Figure(results, 34 * len(rows) + 52, f"Ablation {name}: " + "; ".join(said), width=780) as figure:
        axes = figure.axes(top=4, bottom=44, left=0.34, right=0.02)
        for y, (title, steps) in enumerate(rows):
            axes.text(-0.515, y, title, transform=axes.get_yaxis_transform(), ha="left", va="center", color=INK)
            axes.plot([floor, 1.0], [y, y], color=FAINT, alpha=0.35, linewidth=0.8)
            for place, mode in enumerate(mode for mode in ABLATION if mode in steps):
                look, score, line = figure.look(mode), steps[mode]["macro_f1"], y + 0.14 * (place - 1.5)
                axes.plot([score["low"], score["high"]], [line, line], color=look.light, alpha=0.5, linewidth=1.6)
                axes.plot([score["mean"]], [line], look.marker, color=look.light, markersize=7, markeredgewidth=0)
        axes.set_xlim(floor, 1.0)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("macro-F1", color=INK)
    return figure.svg


def _mean(row: Row) -> float:
    return float(row["macro_f1"]["mean"])
