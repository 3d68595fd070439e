"""The report's groups of small figures, each with the sentence that says what it shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.records import short
from tasks.reporting import sections, trends, words
from tasks.reporting.modes import mode_name
from tasks.reporting.sections import ABLATION, Row


@dataclass(frozen=True, slots=True)
class Panel:
    """One small figure."""

    title: str
    svg: str
    says: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Group:
    """Panels of one classifier and generator, or one wide figure with its sentence."""

    name: str
    panels: list[Panel] = field(default_factory=list)
    svg: str = ""
    says: list[str] = field(default_factory=list)


def all_panels(results: Row) -> dict[str, Any]:
    """The page's variables with figures over tasks; empty lists where there is nothing to show."""
    curves = [group for group in (_curves(results, *pair) for pair in sections.pairs(results)) if group.panels]
    steps = [group for group in (_ablation(results, *pair) for pair in sections.pairs(results)) if group.svg]
    generators = dict.fromkeys(generator for _, _, generator in sections.pairs(results))
    mixes = [group for group in (_mixes(results, generator) for generator in generators) if group.panels]
    compared = [row["mode"] for row in results["comparisons"]]
    drawn = {curve["mode"] for curve in sections.part(results, "curves") if curve["points"]}
    bases = {mix.base for g in generators for of in sections.mixes(results, g).values() for mix in of}
    return {
        "gap_panels": _gaps(results),
        "curve_groups": curves,
        "curve_modes": [mode for mode in dict.fromkeys(compared) if mode in drawn],
        "ablations": steps,
        "ablation_modes": [mode for mode in ABLATION if mode in compared],
        "mix_panels": mixes,
        "mix_legend": [mode for mode in dict.fromkeys([*compared, *sorted(bases)]) if mode in bases],
    }


def _gaps(results: Row) -> list[Panel]:
    measure = sections.axis(results)
    found = sections.points(results, measure) if measure else {}
    rows = [point.row["gap"] for points in found.values() for point in points]
    if not measure or not rows:
        return []
    low, high = min(100 * row["low"] for row in rows), max(100 * row["high"] for row in rows)
    span = (min(low, -5) - 2, max(high, 5) + 0.12 * (high - low) + 2)
    several = len({generator for _, generator in found if generator}) > 1
    panels = []
    for (mode, generator), points in found.items():
        title = mode_name(mode) + (f" · {short(generator)}" if several and generator else "")
        svg = trends.gap_over_subjectivity(results, points, title, measure, span)
        panels.append(Panel(title, svg, _associations(results, mode, generator, measure)))
    return panels


def _associations(results: Row, mode: str, generator: str | None, measure: str) -> list[str]:
    rows = [
        row
        for row in sections.part(results, "correlations")
        if (row["mode"], row["measure"]) == (mode, measure) and generator in (None, row["generator"])
    ]
    several = len({row["classifier"] for row in rows}) > 1
    return [(f"{short(row['classifier'])}: " if several else "") + words.association(row) + "." for row in rows]


def _curves(results: Row, name: str, classifier: str, generator: str | None) -> Group:
    found, titles = sections.curves(results, classifier, generator), sections.titles(results)
    ends = [p["accuracy"]["low"] for c in sections.part(results, "curves") for p in c["points"]]
    floor = _floor(ends)
    panels = [
        Panel(titles[task], trends.accuracy_over_agreement(results, curves, f"{titles[task]} {name}", floor))
        for task, curves in found.items()
        if task in titles
    ]
    return Group(name, panels)


def _ablation(results: Row, name: str, classifier: str, generator: str | None) -> Group:
    rows = sections.ablations(results, classifier, generator)
    if not rows:
        return Group(name)
    titles = sections.titles(results)
    floor = _floor([row["macro_f1"]["low"] for _, steps in rows for row in steps.values()])
    named: list[tuple[str, Mapping[str, Row]]] = [(titles[task], steps) for task, steps in rows]
    return Group(name, svg=trends.ablation(results, named, floor, name), says=words.ablation(rows))


def _mixes(results: Row, generator: str | None) -> Group:
    titles, found = sections.titles(results), sections.mixes(results, generator)
    scores = [row["macro_f1"]["low"] for mixes in found.values() for mix in mixes for _, row in mix.points]
    name = generator or ""
    panels = [
        Panel(titles[task], trends.score_over_share(results, mixes, f"{titles[task]} {name}", _floor(scores)))
        for task, mixes in found.items()
    ]
    return Group(name, panels)


def _floor(lows: list[float]) -> float:
    """Where the axes of scores begin, the same for all panels: below the lowest interval, at a tenth."""
    return float(max(0.0, (min([*lows, 0.9]) - 0.02) // 0.1 * 0.1))
