"""Real and generated rows together: what generated rows add to a few real rows, and how many they can replace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tasks.modes import MATCHED_REAL, mode_facts
from tasks.phrases import among, count, listed, points, sentence, signed_points, times
from tasks.records import Interval
from tasks.reporting.figure import FAINT, INK, NARROW, Figure, lowest_tenth, value_axis
from tasks.reporting.grouping import by_mode, classifiers, pairs, scores_of_pair, task_names, titles
from tasks.reporting.modes import mixed_in, mode_name
from tasks.reporting.results import Results
from tasks.reporting.section import Group, Panel, Section

ABLATION = ("pool_only", "few_shot", "pool_plus_synthetic", MATCHED_REAL)
"""Steps from the few real examples to as many real rows as generated ones."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Scores by the percentage of generated rows, from 0 to 100 if the study has both ends."""

    base: str
    """The mode of the generated rows."""
    hollow: bool
    points: tuple[tuple[int, Interval], ...]
    """Percentage of generated rows and macro-F1."""


def ablations(results: Results, classifier: str, generator: str | None) -> list[tuple[str, dict[str, Interval]]]:
    """Tasks with their scores by step of the ablation, if they have the first step and at least one more."""
    scores = scores_of_pair(results, classifier, generator)
    found = []
    for task in task_names(results):
        steps = {mode: scores[task, mode] for mode in ABLATION if (task, mode) in scores}
        if "pool_only" in steps and len(steps) > 1:
            found.append((task, steps))
    return found


def mixes(results: Results, generator: str | None) -> dict[str, list[Mix]]:
    """Mixing curves by task: one for each classifier and mode of generated rows."""
    found: dict[str, list[Mix]] = {}
    for place, classifier in enumerate(classifiers(results)):
        scores = scores_of_pair(results, classifier, generator)
        bases = dict.fromkeys(base for _, mode in scores if (base := mixed_in(mode)))
        for task in task_names(results):
            own = {mode: score for (of, mode), score in scores.items() if of == task}
            for base in bases:
                shares = [mode for mode in own if mixed_in(mode) == base]
                ends = {0: own.get(MATCHED_REAL), 100: own.get(base)}
                known = {share: score for share, score in ends.items() if score}
                known |= {mode_facts(mode).percent_generated or 0: own[mode] for mode in shares}
                if shares and len(known) > 1:
                    found.setdefault(task, []).append(Mix(base, place > 0, tuple(sorted(known.items()))))
    return found


def additions(rows: Sequence[tuple[str, Mapping[str, Interval]]]) -> list[str]:
    """What generated rows add to the few real examples in their prompts, and what real rows would add instead."""
    few, both, real = "pool_only", "pool_plus_synthetic", MATCHED_REAL
    added = [(steps[few], steps[both]) for _, steps in rows if both in steps]
    bought = [(steps[both], steps[real]) for _, steps in rows if both in steps and real in steps]
    parts = [f"generated rows beside the few real examples {_change(added)}"] if added else []
    parts += [f"real rows in their place {_change(bought)}"] if bought else []
    return [sentence(part) for part in parts]


def _change(pairs: Sequence[tuple[Interval, Interval]]) -> str:
    middle = median(after.mean - before.mean for before, after in pairs)
    up = sum(after.low > before.high for before, after in pairs)
    down = sum(after.high < before.low for before, after in pairs)
    move = f"{'raise' if middle > 0 else 'lower'} macro-F1 by {points(middle)}"
    if len(pairs) == 1:
        return f"{move}: {'the intervals stand apart' if up or down else 'the intervals overlap, no clear change'}"
    rest = len(pairs) - up - down
    parts = [(up, "clearly up in"), (down, "clearly down in"), (rest, "no clear change in")]
    said = [f"{word} {times(n, len(pairs))}" for n, word in parts if n]
    return f"{move} (median of {count(len(pairs), 'task')}): {listed(said)}"


def replaceable(results: Results) -> list[str]:
    """How many real rows could be replaced: for each share, how often the loss is within the tolerance."""
    found = by_mode(row for row in results.comparisons if row.gap and mixed_in(row.mode))
    parts = []
    for mode in sorted(found, key=lambda mode: (mixed_in(mode), mode_facts(mode).percent_generated)):
        states = [row.good_enough for row in found[mode]]
        middle = signed_points(median(row.gap.mean for row in found[mode] if row.gap))
        parts.append(f"{mode_name(mode)}: {among(states.count('yes'), len(states))} (median {middle} points)")
    return [f"Comparisons that clearly stay within your tolerance: {'; '.join(parts)}."] if parts else []


def _ablation(results: Results, name: str, classifier: str, generator: str | None) -> Group:
    rows = ablations(results, classifier, generator)
    if not rows:
        return Group(name)
    names = titles(results)
    floor = lowest_tenth([score.low for _, steps in rows for score in steps.values()])
    named = [(names[task], steps) for task, steps in rows]
    return Group(name, svg=ablation_figure(results, named, floor, name), says=additions(rows))


def _mixes(results: Results, generator: str | None) -> Group:
    names, found = titles(results), mixes(results, generator)
    floor = lowest_tenth([score.low for mixes in found.values() for mix in mixes for _, score in mix.points])
    name = generator or ""
    panels = [
        Panel(names[task], score_over_share(results, mixes, f"{names[task]} {name}", floor))
        for task, mixes in found.items()
    ]
    return Group(name, panels)


def score_over_share(results: Results, mixes: Sequence[Mix], title: str, floor: float) -> str:
    """Macro-F1 over the percentage of generated training rows, a line for each mode."""
    said = ("; ".join(f"{x}%: {score.mean:.2f}" for x, score in mix.points) for mix in mixes)
    with Figure(
        results, 210, f"{title}: macro-F1 over the share of synthetic rows. " + ". ".join(said), NARROW
    ) as figure:
        axes = figure.axes(top=10, bottom=44, left=0.17)
        for place, mix in enumerate(mixes):
            look = figure.look(mix.base)
            shift = 0.9 * (place - (len(mixes) - 1) / 2)  # intervals side by side
            x = [share + shift for share, _ in mix.points]
            scores = [score for _, score in mix.points]
            fill = "none" if mix.hollow else look.light
            lows, means, highs = ([getattr(score, end) for score in scores] for end in ("low", "mean", "high"))
            axes.vlines(x, lows, highs, color=look.light, alpha=0.5)
            axes.plot(x, means, color=look.light, marker=look.marker, markersize=6, markerfacecolor=fill)
        axes.set_xticks(sorted({share for mix in mixes for share, _ in mix.points}))
        axes.set_ylim(floor, 1.0)
        axes.set_xlabel("% of rows that are synthetic", color=INK)
        value_axis(axes, "macro-F1")
    return figure.svg


def ablation_figure(
    results: Results, rows: Sequence[tuple[str, Mapping[str, Interval]]], floor: float, name: str
) -> str:
    """Macro-F1 of each step of the ablation: a line for each task, a marker for each step."""
    said = (f"{title}: " + ", ".join(f"{mode_name(m)} {steps[m].mean:.2f}" for m in steps) for title, steps in rows)
    with Figure(results, 34 * len(rows) + 52, f"Ablation {name}: " + "; ".join(said), width=780) as figure:
        axes = figure.axes(top=4, bottom=44, left=0.34, right=0.02)
        for y, (title, steps) in enumerate(rows):
            axes.text(-0.515, y, title, transform=axes.get_yaxis_transform(), ha="left", va="center", color=INK)
            axes.plot([floor, 1.0], [y, y], color=FAINT, alpha=0.35, linewidth=0.8)
            for place, mode in enumerate(mode for mode in ABLATION if mode in steps):
                look, score, line = figure.look(mode), steps[mode], y + 0.14 * (place - 1.5)
                axes.plot([score.low, score.high], [line, line], color=look.light, alpha=0.5, linewidth=1.6)
                axes.plot([score.mean], [line], look.marker, color=look.light, markersize=7, markeredgewidth=0)
        axes.set_xlim(floor, 1.0)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("macro-F1", color=INK)
    return figure.svg


def _variables(results: Results) -> dict[str, Any]:
    generators = dict.fromkeys(generator for _, _, generator in pairs(results))
    compared = [row.mode for row in results.comparisons]
    bases = {mix.base for generator in generators for of in mixes(results, generator).values() for mix in of}
    return {
        "ablations": [group for group in (_ablation(results, *pair) for pair in pairs(results)) if group.svg],
        "ablation_modes": [mode for mode in ABLATION if mode in compared],
        "mix_panels": [group for group in (_mixes(results, generator) for generator in generators) if group.panels],
        "mix_legend": [mode for mode in dict.fromkeys([*compared, *sorted(bases)]) if mode in bases],
        "replaceable": replaceable(results),
    }


SECTION = Section(name="shares", title="Real and generated rows together", sentences=replaceable, variables=_variables)
