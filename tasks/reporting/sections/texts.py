"""The LLM's texts: how many passed each step, how diverse they are, and how similar to real texts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from tasks.modes import MATCHED_REAL
from tasks.phrases import among, sentence, times
from tasks.records import Synthesis, TaskSummary, short
from tasks.reporting.figure import INK, NARROW, Figure
from tasks.reporting.grouping import in_order, task_names
from tasks.reporting.modes import all_synthetic, mixed_in, mode_name
from tasks.reporting.results import Results, source_of
from tasks.reporting.section import Section

VARIED = {"remote_clique": 1, "chamfer": 1, "vendi": 1, "distinct_2": 1, "distinct_1": 1, "self_bleu": -1}
"""Measures of diversity, with 1 if a higher value means more diverse texts, -1 if a lower value does."""


CLOSE = {"top_5": 1, "top5_to_real": 1, "top_5_back": 1, "mmd": -1, "auc": -1}
"""Measures of similarity to real texts, in the same form."""


MEASURES = {
    "texts": "Texts: how many texts were measured: as many of each label as there are real rows to compare with. Most "
    "measures depend on it. The error of a measure is the standard error of its estimate from a sample of these texts.",
    "remote_clique": "Remote clique: mean distance to all other texts; higher is more varied.",
    "chamfer": "Chamfer: mean distance to the nearest other text; higher is more varied, near 0 means near-copies.",
    "vendi": "Vendi score: effective number of different texts in the set; higher is more varied.",
    "distinct_1": "Distinct-1: different words as a share of all words; higher is more varied.",
    "distinct_2": "Distinct-2: different word pairs as a share of all word pairs; higher is more varied.",
    "self_bleu": "Self-BLEU: how much of a text also occurs in up to 499 others, 0 to 1; lower is more varied.",
    "top_5": "Top-5 similarity: for each real text, mean cosine similarity to its 5 nearest texts in the set; "
    "higher means that the set covers more of the real texts.",
    "top_5_back": "Top-5 similarity backwards: for each text in the set, mean cosine similarity to its 5 nearest real "
    "texts; higher means that the set is closer to real texts.",
    "mmd": "MMD: squared maximum mean discrepancy between the set and real texts; about 0 (or slightly negative) "
    "means that both have the same distribution.",
    "auc": "Discriminator AUC: how well a classifier tells the set from real texts; 0.5 means not at all, 1 always.",
}


STEPS = ("requested", "answered", "parsed", "valid", "unique", "kept")


class TextSet(Protocol):
    """A set of texts with measures: a task's real rows or a synthesis."""

    @property
    def diversity(self) -> Mapping[str, float]:
        """Measures of the texts alone."""

    @property
    def similarity(self) -> Mapping[str, float]:
        """Measures of the similarity to real texts."""


Described = tuple[str, TaskSummary | None, Sequence[Synthesis]]
"""A task, its real rows if they have measures, and its syntheses with measures."""


def syntheses(results: Results) -> list[Synthesis]:
    """Generated sets by task. A set that several modes use is listed once, under the first mode."""
    unique: dict[str, Synthesis] = {}
    for row in in_order(results, results.syntheses):
        unique.setdefault(row.key, row)
    return list(unique.values())


def measures(rows: Iterable[TextSet]) -> list[str]:
    """Names of all diversity and similarity measures in the order in which they occur, without their errors."""
    names = dict.fromkeys(name for row in rows for name in (*row.diversity, *row.similarity))
    return [name for name in names if not (name.endswith("_error") and name.removesuffix("_error") in names)]


def all_measures(found: Iterable[Described]) -> list[str]:
    """Names of the measures of all these sets."""
    return measures(row for _, real, made in found for row in ((real,) if real else ()) + tuple(made))


def measured(row: TextSet, name: str) -> tuple[float | None, float | None]:
    """A measure and its standard error, for a task's real rows or a synthesis; null if unknown."""
    values = {**row.diversity, **row.similarity}
    return values.get(name), values.get(f"{name}_error")


def described(results: Results) -> list[Described]:
    """Sets of texts with measures by task."""
    known = [row for row in syntheses(results) if row.status == "ok" and (row.diversity or row.similarity)]
    tasks = {task.name: task for task in results.tasks if task.diversity or task.similarity}
    made = {name: [row for row in known if row.task == name] for name in task_names(results)}
    return [(name, tasks.get(name), rows) for name, rows in made.items() if rows or name in tasks]


def texts(results: Results) -> list[str]:
    """Comparison of the diversity of generated and real texts, and of the similarity of modes to real texts."""
    found = described(results)
    names = all_measures(found)
    modes = dict.fromkeys(row.mode for _, _, made in found for row in made if all_synthetic(row))
    parts = [
        _variety(mode, measure, _pairs(found, MATCHED_REAL, mode, measure, VARIED[measure]))
        for measure in [name for name in names if name in VARIED][:1]
        for mode in modes
    ]
    for measure in [name for name in names if name in CLOSE][:1]:
        pairs = _pairs(found, "zero_shot", "few_shot", measure, CLOSE[measure])
        closer = among(sum(difference > 0 for difference, _ in pairs), len(pairs), "set")
        parts.append(f"few-shot texts are closer to real ones than zero-shot texts in {closer}" if pairs else "")
    return [sentence(part) for part in parts if part]


def _variety(mode: str, measure: str, pairs: Sequence[tuple[float, float]]) -> str:
    if not pairs:
        return ""
    less, clear = sum(d < 0 for d, _ in pairs), sum(d < -2 * e for d, e in pairs if e)
    text = f"{mode_name(mode)} sets are less varied than real rows in {among(less, len(pairs), 'set')}"
    name = measure.replace("_", " ")
    known = any(error for _, error in pairs)
    return f"{text} ({name}{f'; beyond twice the standard error in {times(clear, len(pairs))}' if known else ''})"


def _pairs(found: Sequence[Described], base: str, mode: str, measure: str, sign: int) -> list[tuple[float, float]]:
    """(difference, standard error) of ``mode`` minus ``base``, for each task and source that have both."""
    pairs = []
    for _, real, made in found:
        for row in (row for row in made if row.mode == mode):
            ours, error = measured(row, measure)
            fitting: list[TextSet] = [b for b in made if (b.mode, source_of(b)) == (base, source_of(row))]
            fitting = [real] if base == MATCHED_REAL and real else fitting
            theirs, other = measured(fitting[0], measure) if fitting else (None, None)
            if ours is not None and theirs is not None:
                pairs.append((sign * (ours - theirs), ((error or 0.0) ** 2 + (other or 0.0) ** 2) ** 0.5))
    return pairs


def funnel(results: Results, mode: str, generator: str) -> str:
    """How many of the requested texts passed each step, summed over all tasks of one mode and generator."""
    made = [row.yields for row in results.syntheses if (row.mode, source_of(row)) == (mode, generator)]
    counts = [sum(getattr(yields, step) for yields in made) for step in STEPS]
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


def _variables(results: Results) -> dict[str, Any]:
    made, sets = syntheses(results), described(results)
    return {
        "syntheses": made,
        "funnels": list(dict.fromkeys((row.mode, source_of(row) or "") for row in made if not mixed_in(row.mode))),
        "writers": {source_of(row) for row in made},
        "described": sets,
        "measures": all_measures(sets),
        "measure_names": MEASURES,
        "measured": measured,
        "funnel": funnel,
    }


SECTION = Section(name="texts", title="What the LLM wrote", sentences=texts, variables=_variables)
