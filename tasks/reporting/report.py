"""report.html: the results of a study on one page that loads no other file.

The page starts with the answer in plain words and ends with what is needed to repeat the study. The template engine
escapes all text of LLMs and users, and the page's content policy forbids scripts and requests.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks import phrases
from tasks.modes import MATCHED_REAL, mode_facts
from tasks.records import Comparison, GoodEnough, Row, Synthesis, short
from tasks.reporting.figure import css_name, stylesheet
from tasks.reporting.grouping import asked, classifiers, rating, task_names, titles
from tasks.reporting.modes import (
    MARKS,
    all_synthetic,
    best,
    judged,
    llm,
    looks,
    mixed_in,
    mode_name,
    place,
)
from tasks.reporting.results import Results
from tasks.reporting.section import Section
from tasks.reporting.sections import SECTIONS
from tasks.reporting.sections.comparisons import of_task
from tasks.reporting.sections.texts import syntheses

Samples = Mapping[str, tuple[Sequence[Row], Sequence[Row]]]

SHOWN = 12
"""Sample rows of each kind (kept, rejected) for one synthesis."""
LONGEST = 400
"""Characters of a sample row; more are cut off."""

NAMED = 4
"""LLMs or classifiers that the first screen names."""

WORDS: dict[GoodEnough, str] = {"yes": "Yes", "no": "No", "undecided": "Undecided", "none": "No result"}


class Answer(NamedTuple):
    """The answer for one task."""

    title: str
    state: GoodEnough
    verdict: str
    detail: str


def render(results: Results, samples: Samples, sections: Sequence[Section] = SECTIONS) -> str:
    """The page. ``samples`` holds kept and rejected rows by key of the synthesis."""
    environment, shared = _environment(results), _shared(results, samples)
    light, dark = stylesheet(shared["glyphs"])
    return environment.get_template("report.html").render(
        **shared,
        answers=[_answer(results, task) for task in shared["names"]],
        headline=_headline(results),
        tried=_tried(results),
        holes=_holes(results),
        shortfalls=[row for row in syntheses(results) if row.status == "ok" and (row.short or row.stopped)],
        sections=[_part(section, results, environment, shared) for section in sections],
        light=light,
        dark=dark,
    )


def _shared(results: Results, samples: Samples) -> dict[str, Any]:
    """Variables of every template."""
    names, rated, trained = task_names(results), rating(results), classifiers(results)
    return {
        "r": results,
        "names": names,
        "tasks": sorted(results.tasks, key=lambda task: names.index(task.name)),
        "titles": titles(results),
        "rated": rated,
        "numbers": {name: place for place, name in enumerate(names, 1)} if rated else {},
        "glyphs": {mode: look.glyph for mode, look in looks(_modes(results)).items()},
        "hollow": trained if len(trained) > 1 else [],
        "words": WORDS,
        "marks": MARKS,
        "samples": _samples(results, samples),
        "config": yaml.safe_dump(results.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
    }


def _part(section: Section, results: Results, environment: Environment, shared: Mapping[str, Any]) -> Markup:
    """A section of the page: by its own template, otherwise title, sentences, figures and table."""
    said: dict[str, Any] = {"title": section.title, "sentences": list(section.sentences(results))}
    template = environment.select_template([f"sections/{section.name}.html", "section.html"])
    if template.name == "section.html":
        said |= {"figures": section.figures(results), "table": section.table(results)}
    return Markup(template.render(**shared, **said, **section.variables(results)))


def _environment(results: Results) -> Environment:
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
        fixed=phrases.fixed,
        effect=partial(phrases.signed, digits=1),
        measure=_measure,
        svg=Markup,
        css=css_name,
    )
    return environment


def _modes(results: Results) -> list[str]:
    """All modes on the page, in the order that gives each mode the same look as in the figures."""
    parts = (results.comparisons, results.syntheses, results.subjectivity.curves, results.paper)
    modes = [MATCHED_REAL, *(row.mode for rows in parts for row in rows)]
    return [*modes, *filter(None, map(mixed_in, modes))]


def _answer(results: Results, task: str) -> Answer:
    rows = of_task(results, task)
    chosen = best(rows)
    title = titles(results)[task]
    if chosen is None or chosen.macro_f1 is None or chosen.gap is None:
        generated = [row for row in rows if mode_facts(row.mode).synthetic]
        return Answer(title, "none", generated[0].verdict if generated else "no generated rows were tested", "")
    ways = len([row for row in rows if all_synthetic(row) == all_synthetic(chosen) and judged(row)])
    score, gap = chosen.macro_f1.mean, chosen.gap.mean
    detail = f"Macro-F1 {score:.2f} against {score - gap:.2f} with as many real rows."
    if ways > 1:
        detail += f" Best of {ways} ways tried."
    state = chosen.good_enough
    enough = _enough(rows)
    if enough and state != "yes" and all_synthetic(chosen):
        detail += f" Good enough with real rows mixed in: {place(enough, results)}."
    return Answer(title, state, f"{place(chosen, results)}: {chosen.verdict}.", detail)


def _enough(rows: Sequence[Comparison]) -> Comparison | None:
    """Of the good enough training sets with real rows, the one with the most generated rows; null if there is none."""
    good = [row for row in rows if judged(row) and not all_synthetic(row) and row.good_enough == "yes"]
    return max(good, key=lambda row: mode_facts(row.mode).percent_generated or 0, default=None)


def _headline(results: Results) -> str:
    """How many tasks got which answer, in one sentence."""
    states = [_answer(results, task).state for task in task_names(results)]
    parts = [f"{WORDS[state]} for {states.count(state)}" for state in WORDS if state in states]
    if not parts:
        return "No task could be loaded."
    if len(parts) == 1:
        tasks = {1: "this task", 2: "both tasks"}.get(len(states), f"all {len(states)} tasks")
        return f"{WORDS[states[0]]}, for {tasks}."
    return ", ".join([parts[0], *(part.lower() for part in parts[1:])]) + f" of {len(states)} tasks."


def _tried(results: Results) -> str:
    """The LLMs and classifiers that the answers are about, in one sentence."""
    llms = list(dict.fromkeys(short(name) for row in results.comparisons if (name := llm(row))))
    trained = [short(name) for name in classifiers(results)]
    parts = [f"the texts were written by {_named(llms)}"] if llms else []
    parts += [f"the classifier{'s are' if len(trained) > 1 else ' is'} {_named(trained)}"] if trained else []
    return phrases.sentence("; ".join(parts))


def _named(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return phrases.listed([*names[:NAMED], f"{rest} more"] if rest > 1 else names)


def _holes(results: Results) -> list[tuple[str, list[str]]]:
    """Failed syntheses, cells and other stages by their error. Syntheses come first: they may cause the others."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in syntheses(results):
        if row.status != "ok":
            found[row.error or "no reason recorded"].append(f"synthesis {row.task} · {place(row, results)}")
    for cell in results.cells:
        if cell.status != "ok":
            name = f"{cell.task} · {place(cell, results)} · seed {cell.seed}"
            found[cell.error or "no reason recorded"].append(name)
    for failure in results.failures:
        found[failure.error].append(failure.stage)
    missing = sorted(set(asked(results)) - set(task_names(results)))
    if missing:
        found["the task's real rows could not be loaded"] += missing
    return list(found.items())


def _samples(results: Results, samples: Samples) -> list[tuple[str, list[tuple[Synthesis, list[Row], list[Row]]]]]:
    """Sample rows of each synthesis, by task."""
    chosen: dict[str, list[tuple[Synthesis, list[Row], list[Row]]]] = {}
    for row in syntheses(results):
        kept, rejected = samples.get(row.key, ((), ()))
        if kept or rejected:
            chosen.setdefault(row.task, []).append((row, _spread(kept, "label"), _spread(rejected, "reason")))
    return list(chosen.items())


def _spread(rows: Sequence[Row], by: str) -> list[Row]:
    """The first rows of each label (or reason) in turn, so that a few rows show every kind. Nobody selects them."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[getattr(row, by)].append(row)
    in_turn = chain.from_iterable(zip_longest(*kinds.values()))
    return [row for row in in_turn if row is not None][:SHOWN]


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _beside(row: Comparison) -> str:
    """What the gap compares with, if it is not the same number of real rows."""
    return "" if mode_facts(row.mode).compared_to == "real rows of the same size" else row.against


def _measure(value: float, error: float | None = None) -> str:
    """A measure with its significant digits: as many as its error allows, if that is known."""
    size = abs(value)
    digits = 0 if float(value).is_integer() and size > 1 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    if error:
        digits = min(max(0, 1 - math.floor(math.log10(error) + 0.5)), 4)
    return phrases.fixed(value, digits)
