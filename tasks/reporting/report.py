"""report.html: what a study found, on one page that needs nothing but itself.

The page leads with the answer in plain words and ends with what it takes to repeat the study. Everything in it that an
LLM or a user wrote is escaped by the template engine, and the page forbids scripts and requests to itself besides.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.records import Row, short
from tasks.reporting import champions, panels, phrases, plots, sections, words
from tasks.reporting.figure import css_name, stylesheet
from tasks.reporting.modes import (
    BASELINES,
    MIX,
    MIX_FROM,
    all_synthetic,
    best,
    judged,
    looks,
    mixed,
    mode_name,
    outcome,
    place,
)
from tasks.reporting.phrases import MINUS

Samples = Mapping[str, tuple[Sequence[Row], Sequence[Row]]]

SHOWN = 12
"""Sample rows of each kind for one synthesis."""
LONGEST = 400
"""Characters of a sample row."""

MEASURES = {
    "texts": "Texts: how many were measured, as many of each label as the real rows can match. Most measures depend on "
    "it. A measure's error is the standard error of estimating it from a sample of these texts.",
    "remote_clique": "Remote clique: mean distance to all other texts; higher is more varied.",
    "chamfer": "Chamfer: mean distance to the nearest other text; higher is more varied, near 0 means near-copies.",
    "vendi": "Vendi score: how many clearly different texts the set amounts to; higher is more varied.",
    "distinct_1": "Distinct-1: different words as a share of all words; higher is more varied.",
    "distinct_2": "Distinct-2: different word pairs as a share of all word pairs; higher is more varied.",
    "self_bleu": "Self-BLEU: how much of a text stands in up to 499 others, 0 to 1; lower is more varied.",
    "top_5": "Top-5 similarity: for each real text, mean cosine similarity to its 5 nearest texts in the set; "
    "higher means that the set reaches more of what is real.",
    "top_5_back": "Top-5 similarity backwards: for each text in the set, mean cosine similarity to its 5 nearest real "
    "texts; higher means that the set stays closer to what is real.",
    "mmd": "MMD: squared maximum mean discrepancy between the set and real texts; about 0, even slightly below, means "
    "that they have one distribution.",
    "auc": "Discriminator AUC: how well a classifier tells the set from real texts; 0.5 means not at all, 1 always.",
}
STATES = {
    "yes": ("✓", "Yes"),
    "no": ("✗", "No"),
    "undecided": ("?", "Undecided"),
    "none": ("–", "No result"),
}


class Answer(NamedTuple):
    """The answer for one task: ``state`` is a key of ``STATES``."""

    title: str
    state: str
    verdict: str
    detail: str


def render(results: Mapping[str, Any], samples: Samples) -> str:
    """The page. ``results`` is the object of results.json; ``samples`` holds kept and rejected rows by key."""
    light, dark = stylesheet(_modes(results))
    names, rated = sections.task_names(results), sections.rating(results)
    described, made = sections.described(results), sections.syntheses(results)
    classifiers = sections.classifiers(results)
    return (
        _environment(results)
        .get_template("report.html")
        .render(
            r=results,
            answers=[_answer(results, task) for task in names],
            headline=_headline(results),
            best_rows=_best_rows(results),
            by_task={task: _of_task(results, task) for task in names},
            tasks=sorted(results["tasks"], key=lambda task: names.index(task["name"])),
            titles=sections.titles(results),
            numbers={name: place for place, name in enumerate(names, 1)} if rated else {},
            glyphs={mode: look.glyph for mode, look in looks(_modes(results)).items()},
            holes=_holes(results),
            shortfalls=[row for row in made if row["status"] == "ok" and (row["short"] or row["stopped"])],
            grids=sections.grids(results),
            effects=any(row["gap"] and row["gap"].get("effect") is not None for row in results["comparisons"]),
            published=sections.published(results),
            rated=rated,
            correlations=sections.part(results, "correlations"),
            hollow=classifiers if len(classifiers) > 1 else [],
            **panels.all_panels(results),
            uncurved=sections.uncurved(results),
            syntheses=made,
            challenges=champions.challenges(results),
            funnels=list(dict.fromkeys((row["mode"], row["generator"]) for row in made if not MIX.match(row["mode"]))),
            writers={row["generator"] for row in made},
            described=described,
            measures=sections.measures(row for _, rows in described for _, row in rows),
            measure_names=MEASURES,
            samples=_samples(results, samples),
            states=STATES,
            config=yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True),
            light=light,
            dark=dark,
        )
    )


def _environment(results: Mapping[str, Any]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        place=lambda row: place(row, results),
        judged=judged,
        beside=_beside,
        mode=mode_name,
        short=short,
        clip=_clip,
        points=phrases.signed_points,
        signed=phrases.signed,
        fixed=_fixed,
        effect=_effect,
        measure=_measure,
        svg=Markup,
        css=css_name,
    )
    environment.globals.update(
        words=words,
        champions=champions,
        plots=plots,
        measured=sections.measured,
        outcome=lambda row: outcome(row, results["config"]["tolerance"]),
    )
    return environment


def _modes(results: Mapping[str, Any]) -> list[str]:
    """Every mode that the page speaks of, in an order that gives each the look that it has in the figures."""
    parts = (results["comparisons"], results["syntheses"], sections.part(results, "curves"), results.get("paper") or ())
    return ["real", MIX_FROM, *(row["mode"] for row in chain.from_iterable(parts))]


def _of_task(results: Mapping[str, Any], task: str) -> list[Mapping[str, Any]]:
    return [row for row in results["comparisons"] if row["task"] == task]


def _best_rows(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = (best(_of_task(results, task)) for task in sections.task_names(results))
    return [row for row in found if row is not None]


def _answer(results: Mapping[str, Any], task: str) -> Answer:
    rows = _of_task(results, task)
    chosen = best(rows)
    title = sections.titles(results)[task]
    if chosen is None:
        generated = [row for row in rows if row["generator"] and row["mode"] not in BASELINES]
        return Answer(title, "none", generated[0]["verdict"] if generated else "no generated rows were tested", "")
    ways = len([row for row in rows if row["gap"] and all_synthetic(row) == all_synthetic(chosen) and judged(row)])
    score, gap = chosen["macro_f1"]["mean"], chosen["gap"]["mean"]
    detail = f"Macro-F1 {score:.2f} against {score - gap:.2f} with as many real rows."
    if ways > 1:
        detail += f" Best of {ways} ways tried."
    state = outcome(chosen, results["config"]["tolerance"])
    enough = _enough(results, rows)
    if enough and state != "yes" and all_synthetic(chosen):
        detail += f" Good enough with real rows mixed in: {place(enough, results)}."
    return Answer(title, state, f"{place(chosen, results)}: {chosen['verdict']}.", detail)


def _enough(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The most synthetic of the training sets with real rows in them that stay within the tolerance, or null."""
    tolerance = results["config"]["tolerance"]
    good = [row for row in rows if judged(row) and not all_synthetic(row) and outcome(row, tolerance) == "yes"]
    return max(good, key=lambda row: mixed(row["mode"])[0] if MIX.match(row["mode"]) else 0, default=None)


def _headline(results: Mapping[str, Any]) -> str:
    """How many tasks got which answer, in one sentence."""
    states = [_answer(results, task).state for task in sections.task_names(results)]
    words = {"yes": "Yes", "no": "No", "undecided": "Undecided", "none": "No result"}
    parts = [f"{words[state]} for {states.count(state)}" for state in STATES if state in states]
    if not parts:
        return "No task could be loaded."
    if len(parts) == 1:
        return f"{words[states[0]]}, for {_all(len(states))}."
    return ", ".join([parts[0], *(part.lower() for part in parts[1:])]) + f" of {len(states)} tasks."


def _all(tasks: int) -> str:
    return {1: "this task", 2: "both tasks"}.get(tasks, f"all {tasks} tasks")


def _holes(results: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Failed cells and syntheses by their error, causes before what they caused."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in sections.syntheses(results):
        if row["status"] != "ok":
            found[row["error"] or "no reason recorded"].append(f"synthesis {row['task']} · {place(row, results)}")
    for row in results["cells"]:
        if row["status"] != "ok":
            name = f"{row['task']} · {place(row, results)} · seed {row['seed']}"
            found[row["error"] or "no reason recorded"].append(name)
    for row in results["failures"]:
        found[row["error"]].append(row["stage"])
    missing = sorted(set(sections.asked(results)) - set(sections.task_names(results)))
    if missing:
        found["the task's real rows could not be loaded"] += missing
    return list(found.items())


def _samples(
    results: Mapping[str, Any], samples: Samples
) -> list[tuple[str, list[tuple[Mapping[str, Any], list[Row], list[Row]]]]]:
    """Sample rows of each synthesis, by task."""
    chosen: dict[str, list[tuple[Mapping[str, Any], list[Row], list[Row]]]] = {}
    for row in sections.syntheses(results):
        kept, rejected = samples.get(row["key"], ((), ()))
        if kept or rejected:
            chosen.setdefault(row["task"], []).append((row, _spread(kept, "label"), _spread(rejected, "reason")))
    return list(chosen.items())


def _spread(rows: Sequence[Row], by: str) -> list[Row]:
    """The first rows of each label (or reason) in turn, so that a dozen shows every kind; nothing is picked by eye."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[getattr(row, by)].append(row)
    in_turn = chain.from_iterable(zip_longest(*kinds.values()))
    return [row for row in in_turn if row is not None][:SHOWN]


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _beside(row: Mapping[str, Any]) -> str:
    """The baseline of a gap where it is not one of as many real rows."""
    return str(row.get("against") or "") if not (all_synthetic(row) or MIX.match(row["mode"])) else ""


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def _effect(value: float) -> str:
    return f"{value:+.1f}".replace("-", MINUS)


def _measure(value: float, error: float | None = None) -> str:
    """A measure with the digits that it can bear: those of its error, where that is known."""
    size = abs(value)
    digits = 0 if float(value).is_integer() and size > 1 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    if error:
        digits = min(max(0, 1 - math.floor(math.log10(error) + 0.5)), 4)
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", MINUS)
