"""Scores: macro-F1 for each kind of training rows, and the loss with generated rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tasks.labelling.untrained import UNTRAINED
from tasks.modes import MATCHED_REAL, mode_facts
from tasks.phrases import among, count, listed, points, sentence, times
from tasks.records import Comparison
from tasks.reporting.grouping import Scored, by_mode, of_pair, pairs, task_names
from tasks.reporting.modes import all_synthetic, mixed_in, mode_name
from tasks.reporting.results import Results
from tasks.reporting.section import Section

COLUMNS = 9
"""Most modes in one table."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of comparisons for one classifier and generator: a line for each task, a column for each mode."""

    name: str
    """Classifier and generator; empty if the study has only one of each."""
    modes: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Comparison | None, ...]], ...]
    """The task, and its comparison for each mode."""


def grids(results: Results) -> list[Grid]:
    """All scores except those of mixes, which have their own figure. More than ``COLUMNS`` modes get several tables."""
    found = []
    modes = [mode for mode in dict.fromkeys(row.mode for row in results.comparisons) if not mixed_in(mode)]
    rest = [mode for mode in modes if mode != MATCHED_REAL]
    for name, classifier, generator in pairs(results):
        rows = of_pair(results, classifier, generator)
        for start in range(0, max(len(rest), 1), COLUMNS - 1):
            chosen = (*([MATCHED_REAL] if MATCHED_REAL in modes else []), *rest[start : start + COLUMNS - 1])
            lines = ((task, tuple(rows.get((task, mode)) for mode in chosen)) for task in task_names(results))
            found.append(Grid(name, chosen, tuple(lines)))
    return found


def costs(results: Results) -> list[str]:
    """For each mode of generated rows, the loss, and how often it is within the tolerance."""
    found = by_mode(row for row in results.comparisons if row.gap and all_synthetic(row))
    return [_cost(mode, rows, results.config.tolerance) for mode, rows in found.items()]


def _cost(mode: str, rows: Sequence[Comparison], tolerance: float) -> str:
    states: list[str] = [row.good_enough for row in rows]
    middle = median(row.gap.mean for row in rows if row.gap)
    much = f"{mode_name(mode)} rows {'cost' if middle < 0 else 'win'} {points(middle)} of macro-F1"
    if len(rows) == 1:
        words = {"yes": "within your tolerance", "no": "clearly beyond your tolerance", "undecided": "undecided"}
        return sentence(f"{much}: {words[states[0]]}")
    words = {"yes": "within your tolerance in {}", "no": "clearly beyond it in {}", "undecided": "undecided in {}"}
    if "yes" not in states:
        words["no"] = "clearly beyond your tolerance in {}"
    parts = [text.format(times(states.count(state), len(rows))) for state, text in words.items() if state in states]
    return sentence(f"{much} (median of {len(rows)} comparisons): {listed(parts)}")


def untrained(results: Results) -> list[str]:
    """Comparison of trained classifiers with the most frequent label, and with the LLM as a classifier."""
    scored = [(row, row.macro_f1) for row in results.comparisons if row.macro_f1]
    simple = {row.task: score for row, score in scored if row.source is None and mode_facts(row.mode).untrained}
    trained = [(row, score) for row, score in scored if all_synthetic(row)]
    paired = [(score, simple[row.task]) for row, score in trained if row.task in simple]
    parts = [_itself(mode, scored, trained) for mode in UNTRAINED]
    if paired:
        poor = sum(score.low <= base.high for score, base in paired)
        weak = f"{among(poor, len(paired), 'classifier')} trained on generated rows may be no better"
        strong = "every classifier trained on generated rows is clearly better"
        parts.insert(0, f"{weak if poor else strong} than always saying the most frequent label")
    return [sentence(part) for part in parts if part]


def _itself(mode: str, scored: Sequence[Scored], trained: Sequence[Scored]) -> str:
    """Comparison of the LLM as a classifier with the best classifier that was trained on its texts."""
    won = lost = total = 0
    for row, score in scored:
        rivals = [other for rival, other in trained if (rival.task, rival.source) == (row.task, row.source)]
        if row.mode == mode and rivals:
            best = max(rivals, key=lambda rival: rival.mean)
            total += 1
            won += score.low > best.high
            lost += score.high < best.low
    if not total:
        return ""
    parts = [(won, "clearly better"), (lost, "clearly worse"), (total - won - lost, "no clear difference")]
    said = [f"{word} in {times(n, total)}" for n, word in parts if n]
    text = f"the {mode_name(mode)}, against the best classifier trained on its texts ({count(total, 'comparison')})"
    return f"{text}: {listed(said)}"


def metrics(results: Results) -> dict[str, float | None]:
    """``gap/<task>/<mode>`` and ``macro_f1/<task>/<mode>``, with generator and classifier if there are several."""
    rows = results.comparisons
    several_sources = len({row.source for row in rows} - {None}) > 1
    several_classifiers = len({row.classifier for row in rows}) > 1
    found: dict[str, float | None] = {}
    for row in rows:
        parts = [row.task, row.mode]
        parts += [row.source] if several_sources and row.source else []
        parts += [row.classifier] if several_classifiers else []
        place = "/".join(parts)
        found |= {f"macro_f1/{place}": round(row.macro_f1.mean, 4)} if row.macro_f1 else {}
        found |= {f"gap/{place}": round(row.gap.mean, 4)} if row.gap else {}
    return found


SECTION = Section(
    name="scores",
    title="Scores",
    sentences=lambda results: [*costs(results), *untrained(results)],
    variables=lambda results: {"grids": grids(results)},
    metrics=metrics,
)
