"""Converts older versions of results.json to this one.

Up to version 1, rows had the names of task, mode, generator and classifier instead of an arm. There was no field
``good_enough``. The counts of ``Synthesis.yields`` were fields of the synthesis. A measure that could not be computed
was null.
"""

from collections.abc import Sequence
from typing import Any

from tasks.analysis.decisions.verdict import good_enough
from tasks.config import ClassifierConfig, GeneratorConfig, ImportConfig, StudyConfig
from tasks.records import ID_LENGTH, Arm, Configured, Gap, configured, content_key

UNTRAINED = ("majority", "llm_zero_shot", "llm_few_shot")
OF_OWN_SIZE = ("real_full", "pool_only", *UNTRAINED)
"""Modes whose number of rows does not come from the study's ``rows_per_label``."""
COUNTS = ("requested", "answered", "parsed", "valid", "unique", "kept", "rejected")


def migrated(content: dict[str, Any], schema: int) -> dict[str, Any]:
    """The converted content of a file of version ``schema``. Raises ``KeyError`` or ``ValueError`` if it is damaged."""
    if schema >= 2:
        return content
    config = StudyConfig.model_validate(content["config"])
    arms = _Arms(config, content["cells"])
    subjectivity = dict(content.get("subjectivity") or {})
    for part in ("curves", "correlations"):
        subjectivity[part] = [{**row, "arm": arms.of(row)} for row in subjectivity.get(part, ())]
    return {
        **content,
        "schema": 2,
        "tasks": [_measured(task) for task in content["tasks"]],
        "cells": [{**cell, "arm": arms.of(cell)} for cell in content["cells"]],
        "syntheses": [
            {**_measured(item), "yields": {name: item[name] for name in COUNTS if name in item}}
            for item in content["syntheses"]
        ],
        "comparisons": [
            {**row, "arm": arms.of(row), "good_enough": good_enough(gap, config.tolerance)}
            for row in content["comparisons"]
            for gap in [Gap(**row["gap"]) if row["gap"] else None]
        ],
        "subjectivity": subjectivity,
    }


class _Arms:
    """Arms by the names of rows. Two settings of one model had the same name and therefore get the same arm."""

    def __init__(self, config: StudyConfig, cells: Sequence[dict[str, Any]]) -> None:
        self._config = config
        self._largest: dict[tuple[Any, ...], int] = {}
        for cell in cells:
            if cell["generator"] is None:
                names = _names(cell)
                self._largest[names] = max(cell["n_train"], self._largest.get(names, 0))
        self._rows = {self._key(cell): tuple(sorted(cell["label_counts"].items())) for cell in reversed(cells)}

    def of(self, row: dict[str, Any]) -> Arm:
        """The arm of a cell, comparison, curve or correlation. That of a correlation has no task."""
        mode, trained, size = row["mode"], row["mode"] not in UNTRAINED, None
        if mode not in OF_OWN_SIZE and row.get("n_train") in (None, self._largest.get(_names(row), row.get("n_train"))):
            size = self._config.rows_per_label
        rows = self._rows.get(self._key(row), ()) if trained else ()
        sources: Sequence[GeneratorConfig | ImportConfig] = (*self._config.generators, *self._config.imports)
        source = _configured(row["generator"], sources) if row["generator"] else None
        name = row["classifier"]
        classifier = _configured(name, self._config.classifiers) if trained else Configured(name, name, name)
        return Arm(row.get("task", ""), mode, source, classifier, size, rows)

    def _key(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """Key of an arm. Real rows of several sizes are several arms."""
        names = _names(row)
        size = row.get("n_train") or self._largest.get(names)
        return (*names, size if row["generator"] is None else None)


def _names(row: dict[str, Any]) -> tuple[Any, ...]:
    return row.get("task"), row["mode"], row["generator"], row["classifier"]


def _configured(name: str, configs: Sequence[GeneratorConfig | ImportConfig | ClassifierConfig]) -> Configured:
    named = [config for config in configs if config.identity["name"] == name]
    return configured(named[0]) if len(named) == 1 else Configured(name, name, content_key({"name": name})[:ID_LENGTH])


def _measured(item: dict[str, Any]) -> dict[str, Any]:
    known = {
        kind: {name: value for name, value in item[kind].items() if value is not None}
        for kind in ("diversity", "similarity")
        if item.get(kind)
    }
    return {**item, **known}
