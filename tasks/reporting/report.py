"""report.html: what a study found, on one page that needs nothing but itself.

The page leads with the answer in plain words and ends with what it takes to repeat the study. Everything in it that an
LLM or a user wrote is escaped by the template engine, and the page forbids scripts and requests to itself besides.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.records import Row
from tasks.reporting import plots
from tasks.reporting.modes import best, mode_name, outcome, place, short

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
    "open": ("?", "Undecided"),
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
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        place=lambda row: place(row, results), mode=mode_name, short=short, clip=_clip, points=_points, svg=Markup
    )
    environment.filters["css"] = plots.css_name
    light, dark = plots.stylesheet(results)
    return environment.get_template("report.html").render(
        r=results,
        answers=[_answer(results, task) for task in task_names(results)],
        headline=_headline(results),
        best_rows=_best_rows(results),
        by_task={task: _of_task(results, task) for task in task_names(results)},
        titles=_titles(results),
        holes=_holes(results),
        shortfalls=[row for row in results["syntheses"] if row["status"] == "ok" and (row["short"] or row["stopped"])],
        funnels=list(dict.fromkeys((row["mode"], row["generator"]) for row in results["syntheses"])),
        measures=_measures(results),
        measure_names=MEASURES,
        samples=_samples(results, samples),
        states=STATES,
        outcome=lambda row: outcome(row, results["config"]["tolerance"]),
        plots=plots,
        config=yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True),
        light=light,
        dark=dark,
    )


def task_names(results: Mapping[str, Any]) -> list[str]:
    """Names of the tasks that results speak of, in order; one that could not be loaded has no cells."""
    return list(dict.fromkeys(row["name"] for row in results["tasks"]))


def _titles(results: Mapping[str, Any]) -> dict[str, str]:
    return {task["name"]: task["title"] for task in results["tasks"]}


def _of_task(results: Mapping[str, Any], task: str) -> list[Mapping[str, Any]]:
    return [row for row in results["comparisons"] if row["task"] == task]


def _best_rows(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = (best(_of_task(results, task)) for task in task_names(results))
    return [row for row in found if row is not None]


def _answer(results: Mapping[str, Any], task: str) -> Answer:
    rows = _of_task(results, task)
    chosen = best(rows)
    title = _titles(results)[task]
    if chosen is None:
        generated = [row for row in rows if row["generator"] is not None]
        return Answer(title, "none", generated[0]["verdict"] if generated else "no generated rows were tested", "")
    ways = len([row for row in rows if row["gap"] and row["generator"] is not None])
    score, gap = chosen["macro_f1"]["mean"], chosen["gap"]["mean"]
    detail = f"Macro-F1 {score:.2f} against {score - gap:.2f} with as many real rows."
    if ways > 1:
        detail += f" Best of {ways} ways tried."
    state = outcome(chosen, results["config"]["tolerance"])
    return Answer(title, state, f"{place(chosen, results)}: {chosen['verdict']}.", detail)


def _headline(results: Mapping[str, Any]) -> str:
    """How many tasks got which answer, in one sentence."""
    states = [_answer(results, task).state for task in task_names(results)]
    words = {"yes": "Yes", "no": "No", "open": "Undecided", "none": "No result"}
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
    for row in results["syntheses"]:
        if row["status"] != "ok":
            found[row["error"] or "no reason recorded"].append(f"synthesis {row['task']} · {place(row, results)}")
    for row in results["cells"]:
        if row["status"] != "ok":
            name = f"{row['task']} · {place(row, results)} · seed {row['seed']}"
            found[row["error"] or "no reason recorded"].append(name)
    missing = sorted(set(_asked(results)) - set(task_names(results)))
    if missing:
        found["the task's real rows could not be loaded"] += missing
    return list(found.items())


def _asked(results: Mapping[str, Any]) -> Iterable[str]:
    return (Path(task).stem if task.endswith((".yaml", ".yml")) else task for task in results["config"]["tasks"])


def _measures(results: Mapping[str, Any]) -> list[str]:
    """Names of all diversity and similarity measures, in the order they first occur."""
    return list(dict.fromkeys(name for row in results["syntheses"] for part in _parts(row) for name in part))


def _parts(row: Mapping[str, Any]) -> tuple[Mapping[str, float], ...]:
    return (row.get("diversity") or {}, row.get("similarity") or {})


def _samples(results: Mapping[str, Any], samples: Samples) -> list[tuple[Mapping[str, Any], list[Row], list[Row]]]:
    chosen = []
    for row in results["syntheses"]:
        kept, rejected = samples.get(row["key"], ((), ()))
        if kept or rejected:
            chosen.append((row, _spread(kept, "label"), _spread(rejected, "reason")))
    return chosen


def _spread(rows: Sequence[Row], by: str) -> list[Row]:
    """The first rows of each label (or reason) in turn, so that a dozen shows every kind; nothing is picked by eye."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[getattr(row, by)].append(row)
    in_turn = chain.from_iterable(zip_longest(*kinds.values()))
    return [row for row in in_turn if row is not None][:SHOWN]


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _points(value: float) -> str:
    """A difference of scores in points: ``-13.2``."""
    return f"{100 * value:+.1f}"
