"""What each section of a report shows: the results object, sorted by the question that the section answers.

Tasks come from objective to subjective all over a report, because that is the order in which the paper expects losses
to grow. A study of several classifiers or generators gets one table or figure for each pair of them, so that none
grows wider than a page. Results written before a section existed simply lack it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.records import Interval, short
from tasks.reporting.modes import BASELINES, MIX, MIX_FROM, all_synthetic, llm, mixed, varying

Row = Mapping[str, Any]

COLUMNS = 9
"""Ways to get training rows that one table shows side by side."""
ABLATION = ("pool_only", "few_shot", "pool_plus_synthetic", "real")
"""From the few real examples to as many real rows as synthetic ones."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of comparisons, a line a task and a column a mode, for one classifier and generator."""

    name: str
    """Classifier and generator; empty where the study has only one of each."""
    modes: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Row | None, ...]], ...]
    """Task and a comparison for each mode."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A point of the gap over subjectivity: the task's number in the report's order, and where it stands."""

    number: int
    task: str
    x: Interval
    row: Row
    hollow: bool


@dataclass(frozen=True, slots=True)
class Mix:
    """Comparisons by their percentage of synthetic rows, 0 and 100 where the study has them, in that order."""

    base: str
    """The mode that is mixed in."""
    hollow: bool
    points: tuple[tuple[int, Row], ...]


def task_names(results: Row) -> list[str]:
    """Names of the tasks that were loaded, the most objective one first.

    By rank where there is one, else by the raters' mean agreement, else in the study's order.
    """
    rated = rating(results)
    names = list(dict.fromkeys(task["name"] for task in results["tasks"]))

    def place(name: str) -> tuple[Any, ...]:
        item = rated.get(name, {})
        rank, agreement = item.get("rank"), item.get("mean_agreement")
        return rank is None, rank or 0, agreement is None, -(agreement or {"mean": 0.0})["mean"]

    return sorted(names, key=place)


def in_order(results: Row, rows: Iterable[Row]) -> list[Row]:
    """Rows with a ``task``, from objective to subjective tasks, otherwise as they were."""
    names = task_names(results)
    return sorted(rows, key=lambda row: names.index(row["task"]) if row["task"] in names else len(names))


def titles(results: Row) -> dict[str, str]:
    """Task names and their titles."""
    return {task["name"]: task["title"] for task in results["tasks"]}


def part(results: Row, name: str) -> list[Row]:
    """``tasks``, ``curves`` or ``correlations`` of the results' subjectivity."""
    return list((results.get("subjectivity") or {}).get(name, ()))


def rating(results: Row) -> dict[str, Row]:
    """How subjective each task is, where something is known."""
    known = (item for item in part(results, "tasks") if item["mean_agreement"] or item["rank"] or item["strength"])
    return {item["task"]: item for item in known}


def classifiers(results: Row) -> list[str]:
    """Classifiers that were trained, in the study's order."""
    return list(dict.fromkeys(row["classifier"] for row in results["comparisons"] if row["mode"] not in BASELINES))


def pairs(results: Row) -> list[tuple[str, str, str | None]]:
    """(name, classifier, generator) of each pair that was trained; the name is empty where there is only one."""
    rows = results["comparisons"]
    generators: list[str | None] = list(dict.fromkeys(llm(row) for row in rows if llm(row)))
    parts = varying(rows)
    found = []
    for classifier in classifiers(results):
        for generator in generators or [None]:
            names = {"classifier": classifier, "generator": generator}
            found.append((" · ".join(short(names[name] or "") for name in parts), classifier, generator))
    return found


def of_pair(results: Row, classifier: str, generator: str | None) -> dict[tuple[str, str], Row]:
    """Comparisons by (task, mode) for one pair, what needs no classifier or generator included.

    Of real rows in several sizes the largest counts: the others belong to syntheses that fell short.
    """
    found: dict[tuple[str, str], Row] = {}
    for row in results["comparisons"]:
        fits = row["classifier"] == classifier or row["mode"] in BASELINES
        other = found.get((row["task"], row["mode"]))
        larger = other is None or (row.get("n_train") or 0) > (other.get("n_train") or 0)
        if fits and llm(row) in (None, generator) and larger:
            found[row["task"], row["mode"]] = row
    return found


def grids(results: Row) -> list[Grid]:
    """All scores but those of mixes, which have a figure of their own; wide studies are cut after ``COLUMNS``."""
    found = []
    modes = [m for m in dict.fromkeys(row["mode"] for row in results["comparisons"]) if not MIX.match(m)]
    rest = [mode for mode in modes if mode != "real"]
    for name, classifier, generator in pairs(results):
        rows = of_pair(results, classifier, generator)
        for start in range(0, max(len(rest), 1), COLUMNS - 1):
            chosen = (*(["real"] if "real" in modes else []), *rest[start : start + COLUMNS - 1])
            lines = ((task, tuple(rows.get((task, mode)) for mode in chosen)) for task in task_names(results))
            found.append(Grid(name, chosen, tuple(lines)))
    return found


def axis(results: Row) -> str | None:
    """The measure of subjectivity that at least three tasks have, the paper's own first."""
    known = rating(results).values()
    for name, field in (("strength", "strength"), ("disagreement", "mean_agreement")):
        if sum(item[field] is not None for item in known) > 2:
            return name
    return None


def subjectivity(item: Row, measure: str) -> Interval | None:
    """A task's subjectivity on one axis, more subjective is more."""
    if measure == "strength":
        return Interval(**item["strength"]) if item["strength"] else None
    agreement = item["mean_agreement"]
    return Interval(*(1 - agreement[end] for end in ("mean", "high", "low"))) if agreement else None


def points(results: Row, measure: str) -> dict[tuple[str, str | None], list[Numbered]]:
    """Points of the gap over subjectivity by (mode, generator), for sets that are synthetic throughout."""
    rated, number = rating(results), {name: place for place, name in enumerate(task_names(results), 1)}
    first = classifiers(results)[:1]
    found: dict[tuple[str, str | None], list[Numbered]] = {}
    for row in results["comparisons"]:
        x = subjectivity(rated[row["task"]], measure) if row["task"] in rated else None
        if x and row["gap"] and all_synthetic(row):
            point = Numbered(number[row["task"]], row["task"], x, row, row["classifier"] not in first)
            found.setdefault((row["mode"], llm(row)), []).append(point)
    return {key: chosen for key, chosen in found.items() if len({point.task for point in chosen}) > 2}


def curves(results: Row, classifier: str, generator: str | None) -> dict[str, list[Row]]:
    """Curves by task for one pair: real rows against sets that are synthetic throughout."""
    found: dict[str, list[Row]] = {}
    for curve in in_order(results, part(results, "curves")):
        shown = curve["mode"] == "real" or all_synthetic(curve)
        fits = curve["classifier"] == classifier and llm(curve) in (None, generator)
        if shown and fits and curve["points"]:
            found.setdefault(curve["task"], []).append(curve)
    return found


def uncurved(results: Row) -> list[tuple[str, list[str]]]:
    """Why tasks have no curve, and which; nothing where the study has no curves at all."""
    drawn = {curve["task"] for curve in part(results, "curves") if curve["points"]}
    notes = {item["task"]: item["note"] for item in part(results, "tasks")}
    notes |= {item["task"]: item["note"] for item in part(results, "curves") if item["note"]}
    found: dict[str, list[str]] = {}
    for task in task_names(results):
        if task not in drawn and notes:
            found.setdefault(notes.get(task) or "its data has no raters and no annotators were asked", []).append(task)
    return list(found.items())


def ablations(results: Row, classifier: str, generator: str | None) -> list[tuple[str, dict[str, Row]]]:
    """Tasks with their scores by step of the ablation, where the few real examples were tried and one step more."""
    rows = of_pair(results, classifier, generator)
    found = []
    for task in task_names(results):
        steps = {mode: rows[task, mode] for mode in ABLATION if (task, mode) in rows}
        steps = {mode: row for mode, row in steps.items() if row["macro_f1"]}
        if "pool_only" in steps and len(steps) > 1:
            found.append((task, steps))
    return found


def mixes(results: Row, generator: str | None) -> dict[str, list[Mix]]:
    """Mixing curves by task: one for each classifier and mode that is mixed in."""
    found: dict[str, list[Mix]] = {}
    for place, classifier in enumerate(classifiers(results)):
        rows = {key: row for key, row in of_pair(results, classifier, generator).items() if row["macro_f1"]}
        bases = dict.fromkeys(mixed(mode)[1] for _, mode in rows if MIX.match(mode))
        for task in task_names(results):
            for base in bases:
                shares = {mixed(mode)[0]: row for (of, mode), row in rows.items() if of == task and _mixes(mode, base)}
                ends = {0: rows.get((task, "real")), 100: rows.get((task, base or MIX_FROM))}
                shares |= {share: row for share, row in ends.items() if row and share not in shares}
                if any(MIX.match(row["mode"]) for row in shares.values()) and len(shares) > 1:
                    found.setdefault(task, []).append(
                        Mix(base or MIX_FROM, place > 0, tuple(sorted(shares.items(), key=_share)))
                    )
    return found


def _mixes(mode: str, base: str) -> bool:
    return bool(MIX.match(mode)) and mixed(mode)[1] == base


def _share(point: tuple[int, Row]) -> int:
    return point[0]


def syntheses(results: Row) -> list[Row]:
    """Generated sets by task; one that serves several modes is the first mode's."""
    unique: dict[str, Row] = {}
    for row in in_order(results, results["syntheses"]):
        unique.setdefault(row["key"], row)
    return list(unique.values())


def measures(rows: Iterable[Row]) -> list[str]:
    """Names of all diversity and similarity measures in the order they first occur, without their errors."""
    names = dict.fromkeys(name for row in rows for kind in ("diversity", "similarity") for name in row.get(kind) or {})
    return [name for name in names if not (name.endswith("_error") and name.removesuffix("_error") in names)]


def measured(row: Row, name: str) -> tuple[float | None, float | None]:
    """A measure of a task's or a synthesis's texts with its standard error; null where not known."""
    values = {**(row.get("diversity") or {}), **(row.get("similarity") or {})}
    return values.get(name), values.get(f"{name}_error")


def described(results: Row) -> list[tuple[str, list[tuple[str, Row]]]]:
    """Sets of texts with measures by task, real rows first: (mode, row); a synthesis is its own row."""
    found = []
    known = [row for row in syntheses(results) if row["status"] == "ok" and (row["diversity"] or row["similarity"])]
    tasks = {task["name"]: task for task in results["tasks"]}
    for name in task_names(results):
        real = tasks[name]
        rows: list[tuple[str, Row]] = [("real", real)] if real.get("diversity") or real.get("similarity") else []
        rows += [(row["mode"], row) for row in known if row["task"] == name]
        if rows:
            found.append((name, rows))
    return found


def published(results: Row) -> list[tuple[Row, list[Row]]]:
    """The paper's numbers with this study's comparisons of the same task and mode, where there are any."""
    found = []
    for number in in_order(results, results.get("paper") or ()):
        ours = [row for row in results["comparisons"] if (row["task"], row["mode"]) == (number["task"], number["mode"])]
        ours = [row for row in ours if row["accuracy"]]
        if ours:
            found.append((number, ours))
    return found


def asked(results: Row) -> list[str]:
    """Names of the tasks that the study asked for."""
    return [Path(task).stem if task.endswith((".yaml", ".yml")) else task for task in results["config"]["tasks"]]
