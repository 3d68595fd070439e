"""The facts in a results object, by names that stay: what must not change when the inside of the product does.

``facts`` reads results of every schema into one flat mapping, and ``differences`` compares two of them. A fact's name
is its section, what it is about, and the field as schema 1 calls it; who raises the schema adds a reader to ``READERS``
that gives the same names. What is unknown (null) is no fact. Sentences are none either, but the numbers in the evidence
of a finding are.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Fact = str | int | float | bool
Facts = dict[tuple[str, ...], Fact]
Named = tuple[tuple[str, ...], Fact]


@dataclass(frozen=True)
class Section:
    """A list in results of schema 1."""

    names: tuple[str, ...]
    """Fields that tell its items apart."""
    words: tuple[str, ...] = ()
    """Fields whose word is a fact."""


SECTIONS = {
    "tasks": Section(("name",)),
    "cells": Section(("task", "mode", "generator", "classifier", "seed", "label_counts"), ("key", "status")),
    "syntheses": Section(("task", "mode", "generator", "draw"), ("key", "status")),
    "comparisons": Section(("task", "mode", "generator", "classifier", "n_train")),
    "findings": Section(("name",), ("verdict",)),
    "challenges": Section(("task", "mode", "classifier", "challenger"), ("outcome", "champion")),
    "paper": Section(("task", "mode", "classifier", "source")),
    "failures": Section(("stage",)),
    "subjectivity/tasks": Section(("task",), ("source",)),
    "subjectivity/curves": Section(("task", "mode", "generator", "classifier")),
    "subjectivity/correlations": Section(("mode", "generator", "classifier", "measure")),
}
SAID = ("error", "stopped")
"""Fields of which it is a fact that they say anything."""
OF_THE_RUN = ("cells_stored", "booked_usd", "booked_estimated_usd")
"""Totals that differ between two runs of one study."""
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def facts(results: Mapping[str, Any]) -> Facts:
    """All facts of a results object. Raises ``KeyError`` for a schema that no reader is there for, and ``ValueError``
    for two items of one name.
    """
    found: Facts = {}
    for name, value in READERS[results["schema"]](results):
        if name in found:
            raise ValueError(f"two facts are called {name}")
        found[name] = value
    return found


def _schema_1(results: Mapping[str, Any]) -> Iterator[Named]:
    yield ("study", "status"), results["status"]
    totals = {name: value for name, value in results["totals"].items() if name not in OF_THE_RUN}
    yield from _flat(("totals",), totals, ())
    for section, how in SECTIONS.items():
        items = results
        for part in section.split("/"):
            items = items[part]
        for item in items:
            name = (section, " · ".join(_named(item[part]) for part in how.names))
            yield (*name, "there"), True
            fields = {field: value for field, value in item.items() if field not in how.names}
            if item.get("status") == "failed":  # it is tried again by every run, and may take any time
                fields.pop("seconds")
            yield from _flat(name, fields, how.words)


def _named(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{label} {n}" for label, n in sorted(value.items()))
    return "-" if value is None else str(value)


def _flat(name: tuple[str, ...], value: Any, words: tuple[str, ...]) -> Iterator[Named]:
    """The numbers in a value, and the words that count."""
    if isinstance(value, Mapping):
        for field, item in value.items():
            yield from _flat((*name, str(field)), item, words)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _flat((*name, str(number)), item, words)
    elif name[-1] in SAID:
        if value:
            yield name, True
    elif name[-1] == "evidence":
        yield name, _numbers(value)
    elif isinstance(value, int | float) or (isinstance(value, str) and name[-1] in words):
        yield name, value


def _numbers(text: str) -> str:
    """The numbers in a text. How a minus is written is no fact, and the sign of a zero is none either."""
    found = NUMBER.findall(text.replace("−", "-"))
    return " ".join(number if float(number) else number.lstrip("+-") for number in found)


def _schema_2(results: Mapping[str, Any]) -> Iterator[Named]:
    """An arm has the names in schema 2, and the counts of a synthesis are a record of their own."""
    subjectivity = results["subjectivity"]
    return _schema_1(
        {
            **results,
            "syntheses": [_synthesis(item) for item in results["syntheses"]],
            **{section: [_of_arm(item) for item in results[section]] for section in ("cells", "comparisons")},
            "subjectivity": {
                **subjectivity,
                **{part: [_of_arm(item) for item in subjectivity[part]] for part in ("curves", "correlations")},
            },
        }
    )


def _of_arm(item: Mapping[str, Any]) -> dict[str, Any]:
    arm, fields = item["arm"], {name: value for name, value in item.items() if name != "arm"}
    source, names = arm["source"], {"mode": arm["mode"], "classifier": arm["classifier"]["label"]}
    return {"task": arm["task"], "generator": source and source["label"], **names, **fields}


def _synthesis(item: Mapping[str, Any]) -> dict[str, Any]:
    counts, cost = item["yields"], item["cost_usd"]
    fields = {name: value for name, value in item.items() if name not in ("yields", "source")}
    per_row = cost / counts["kept"] if cost is not None and counts["kept"] else None
    return {**counts, **fields, "cost_per_kept_usd": per_row}


READERS: dict[int, Callable[[Mapping[str, Any]], Iterator[Named]]] = {1: _schema_1, 2: _schema_2}
"""A reader for each schema of results.json."""


def differences(before: Facts, after: Facts, tolerance: float) -> list[str]:
    """What is not the same, a line each.

    Numbers of cells and syntheses, which are stored, must be equal; computed ones may differ by ``tolerance``.
    """
    lines = []
    for name in dict.fromkeys([*before, *after]):
        ours, theirs = before.get(name), after.get(name)
        stored = name[0] in ("cells", "syntheses")
        if not _same(ours, theirs, 0.0 if stored else tolerance):
            lines.append(f"{' / '.join(name)}: {_shown(ours)} -> {_shown(theirs)}")
    return lines


def _same(ours: Fact | None, theirs: Fact | None, tolerance: float) -> bool:
    if isinstance(ours, float) and isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=0, abs_tol=tolerance)
    return ours == theirs


def _shown(fact: Fact | None) -> str:
    return "nothing" if fact is None else repr(fact)


def write_facts(found: Facts, path: Path) -> None:
    """Facts as JSON, nested by the parts of their names."""
    nested: dict[str, Any] = {}
    for (section, *parts, field), value in found.items():
        place = nested.setdefault(section, {}).setdefault(parts[0] if parts else "", {})
        place[" / ".join([*parts[1:], field])] = value
    path.write_text(json.dumps(nested, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def read_facts(path: Path) -> Facts:
    """What ``write_facts`` wrote."""
    nested = json.loads(path.read_text(encoding="utf-8"))
    return {
        (section, *([about] if about else []), *field.split(" / ")): _numbers(value) if "evidence" in field else value
        for section, items in nested.items()
        for about, fields in items.items()
        for field, value in fields.items()
    }
