"""Who is best so far and who challenged whom, in plain words: the same sentences on the page, terminal and artifact."""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.records import short
from tasks.reporting.modes import mode_name
from tasks.reporting.phrases import count, listed, signed_points
from tasks.reporting.sections import in_order, titles

Row = Mapping[str, Any]

WON = ("first", "better")
NAMED = 2
"""So many challengers that did not win are named, more are counted."""
VERBS = {"better": "is better than", "worse": "is worse than", "undecided": "is neither clearly better nor worse than"}


def challenges(results: Row) -> list[Row]:
    """All challenges, those over all modes of a task before those of one mode; none in results of older versions."""
    rows = in_order(results, results.get("challenges") or ())
    return sorted(rows, key=lambda row: row["mode"] != "")


def sentences(results: Row) -> list[str]:
    """For each task and classifier: who is the best LLM-written training set now, and what it took."""
    overall: dict[tuple[str, str], list[Row]] = {}
    for row in challenges(results):
        if not row["mode"]:
            overall.setdefault((row["task"], row["classifier"]), []).append(row)
    several = len({classifier for _, classifier in overall}) > 1
    found = []
    for (task, classifier), rows in overall.items():
        place = titles(results).get(task, task) + (f" ({short(classifier)})" if several else "")
        found.append(f"{place}: {_of_task(rows)}")
    return found + [_registered(model, results) for model in results.get("models") or ()]


def _of_task(rows: list[Row]) -> str:
    won = [row for row in rows if row["outcome"] in WON]
    lost = _lost(row for row in rows if row["outcome"] not in WON)
    if not won:
        return f"{named(rows[0], 'champion')} stays the best so far: {lost}."
    best = won[-1]
    if best["outcome"] == "first":
        return f"{named(best, 'challenger')} is the first to be the best so far" + (f"; {lost}." if lost else ".")
    return f"{named(best, 'challenger')} is the best now. It {comparison(best)}" + (f"; {lost}." if lost else ".")


def _lost(rows: Iterable[Row]) -> str:
    losers = list(rows)
    if len(losers) <= NAMED:
        return listed([f"{named(row, 'challenger')} is {row['outcome']}" for row in losers])
    outcomes = [row["outcome"] for row in losers]
    found = ((outcomes.count(outcome), outcome) for outcome in ("worse", "undecided"))
    return listed([f"{count(n, 'challenger')} {'are' if n > 1 else 'is'} {outcome}" for n, outcome in found if n])


def comparison(row: Row) -> str:
    """``is better than few-shot, gpt-4o by +3.1 points of macro-F1 (+0.8 to +5.2)``."""
    if row["outcome"] == "first":
        return "is the first"
    said = f"{VERBS[row['outcome']]} {named(row, 'champion')}"
    gap = row["gap"]
    if gap is None:
        return f"{said}: {row['note']}"
    interval = f"({signed_points(gap['low'])} to {signed_points(gap['high'])})"
    return f"{said}: {signed_points(gap['mean'])} points of macro-F1 {interval}"


def named(row: Row, side: str) -> str:
    """What wrote the rows of a side of a challenge, as it is called elsewhere in a report; said where it is retired."""
    mode, _, generator = row[side].rpartition(" · ")
    name = f"{mode_name(mode)}, {short(generator)}" if mode else short(generator)
    return f"{name} (no longer served)" if row[side] in row.get("retired", ()) else name


def _registered(model: Row, results: Row) -> str:
    task = titles(results).get(model["task"], model["task"])
    same = f"says the same as its trial on {100 * model['agreement']:.1f}% of test rows"
    return f"{task}: the model is version {model['version']} of {model['name']} in MLflow's registry and {same}."
