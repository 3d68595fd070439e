"""The object of results.json: everything a study found, in one machine-readable file.

Built once from the frozen records and read by the report, the terminal table and MLflow alike, so that all of them
show the same numbers. Unknown is null, never zero and never NaN.
"""

import dataclasses
import hashlib
import json
import math
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from tasks.config import StudyConfig
from tasks.jsonl import encodable
from tasks.llm.ledger import Booked
from tasks.records import (
    Arm,
    Challenge,
    Comparison,
    Correlation,
    Curve,
    Finding,
    Spent,
    Synthesis,
    TaskSubjectivity,
    TaskSummary,
    Trial,
    configured,
    known_sum,
)

PACKAGES = (
    "synthgap",
    "torch",
    "transformers",
    "litellm",
    "xllamacpp",
    "scikit-learn",
    "datasets",
    "prefect",
    "mlflow",
)
SCHEMA = 1
"""Version of results.json; one of version 0 does not say it. Raised when an older synthgap would misread the file."""
PRICES = "litellm/model_prices_and_context_window_backup.json"
"""litellm's price map inside its package; the gateway tells litellm to use this one and never the network's."""


def assemble(
    config: StudyConfig,
    tasks: Sequence[TaskSummary],
    syntheses: Sequence[Synthesis],
    trials: Sequence[Trial],
    comparisons: Sequence[Comparison],
    *,
    created: str,
    estimate: Mapping[str, Any] | None = None,
    subjectivity: Sequence[TaskSubjectivity] = (),
    curves: Sequence[Curve] = (),
    correlations: Sequence[Correlation] = (),
    findings: Sequence[Finding] = (),
    paper: Sequence[Mapping[str, Any]] = (),
    questions: Spent | None = None,
    failures: Sequence[Mapping[str, str]] = (),
    challenges: Sequence[Challenge] = (),
    models: Sequence[Mapping[str, Any]] = (),
    booked: Booked | None = None,
) -> dict[str, Any]:
    """The results object, ready for ``json.dumps(..., allow_nan=False)``, lists in the study's own order.

    Args:
        config: The study.
        tasks: What was loaded; the study's tasks that could not be are in its config alone.
        syntheses: One a generated data set.
        trials: One a cell.
        comparisons: One a (task, mode, generator, classifier).
        created: ISO time with zone.
        estimate: The plan's totals before anything was spent (``calls``, ``tokens_in``, ``tokens_out``,
            ``cost_usd``, ``minutes``), shown beside what it really took.
        subjectivity: One a task.
        curves: Accuracy over agreement, one a (task, mode, generator, classifier).
        correlations: One a (mode, generator, classifier, measure).
        findings: The paper's findings, held against these numbers.
        paper: The paper's own numbers for context: ``task``, ``mode``, ``classifier`` (null where it is not known),
            ``accuracy`` (0 to 1) and ``source``.
        questions: What baselines, annotators and judges took; part of the totals.
        failures: What broke off and is no cell or synthesis: ``stage`` and ``error``.
        challenges: Each LLM's rows against the best so far, of each task and mode and over all modes.
        models: Champions that were registered in MLflow: ``task``, ``name``, ``version``, ``made_by``, ``classifier``,
            ``seed`` and ``agreement`` (0 to 1).
        booked: What the ledger of this run, or of the account that it spends from, holds at the end.

    """
    ended = [*(item.status for item in syntheses), *(item.status for item in trials)]
    failed = bool(failures) or any(status != "ok" for status in ended)
    results = {
        "schema": SCHEMA,
        "study": config.name,
        "status": "failed" if failed or not trials else "ok",
        "created": created,
        "config": config.model_dump(mode="json"),
        "versions": versions(),
        "tasks": [_plain(task) for task in tasks],
        "arms": [_arm(arm) for arm in dict.fromkeys(trial.arm for trial in _ordered(trials, config))],
        "cells": [_of_arm(trial) for trial in _ordered(trials, config)],
        "syntheses": [_synthesis(synthesis) for synthesis in _ordered(syntheses, config)],
        "comparisons": [_of_arm(comparison) for comparison in _ordered(comparisons, config)],
        "subjectivity": {
            "tasks": [_plain(item) for item in sorted(subjectivity, key=lambda item: _task_place(config, item.task))],
            "curves": [_of_arm(curve) for curve in _ordered(curves, config)],
            "correlations": [_of_arm(item) for item in correlations],
        },
        "findings": [_plain(finding) for finding in findings],
        "challenges": [_plain(item) for item in challenges],
        "models": [dict(model) for model in models],
        "paper": [dict(number) for number in paper],
        "failures": [dict(failure) for failure in failures],
        "totals": _totals(syntheses, trials, questions or Spent()) | _booked(booked),
        "estimate": None if estimate is None else dict(estimate),
    }
    safe: dict[str, Any] = _json_safe(results)
    return safe


def to_json(results: Mapping[str, Any]) -> str:
    """Results as the text of results.json."""
    return encodable(json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"


def _ordered(items: Iterable[Any], config: StudyConfig) -> list[Any]:
    """In the order of the study file; what it does not list (the full-real reference) comes last in its group, and
    rows of comparison after that.
    """
    modes = [*config.modes, "real_full", *config.baselines]
    generators = [configured(generator, config.generators).label for generator in config.generators]
    classifiers = [configured(classifier, config.classifiers).label for classifier in config.classifiers]

    def place(item: Any) -> tuple[Any, ...]:
        number = getattr(item, "seed", getattr(item, "draw", 0))
        of = item if isinstance(item, Synthesis) else item.arm
        rank = _rank(modes, of.mode), _rank(generators, of.source.label if of.source else None)
        classifier = of.classifier.label if isinstance(of, Arm) else ""
        return (*_task_place(config, of.task), *rank, _rank(classifiers, classifier), classifier, number)

    return sorted(items, key=place)


def _rank(names: Sequence[str], name: str | None) -> int:
    return names.index(name) if name is not None and name in names else len(names)


def _task_place(config: StudyConfig, name: str) -> tuple[int, str]:
    return _rank([re.sub(r"^.*[/\\]|\.ya?ml$", "", task) for task in config.tasks], name), name


def _plain(record: Any) -> dict[str, Any]:
    fields: dict[str, Any] = dataclasses.asdict(record)
    return fields


def _arm(arm: Arm) -> dict[str, Any]:
    """What results say about an arm: ``rows`` is the number of training rows that it asks for."""
    return {"arm": arm.id, **_names(arm), "size": arm.size, "rows": sum(n for _, n in arm.rows)}


def _of_arm(record: Trial | Comparison | Curve | Correlation) -> dict[str, Any]:
    """A record with its arm's id and names; a correlation is over tasks and names none."""
    fields, arm = _plain(record), record.arm
    del fields["arm"]
    names = _names(arm)
    return {"arm": arm.id, **(names if arm.task else {name: names[name] for name in names if name != "task"}), **fields}


def _names(arm: Arm) -> dict[str, str | None]:
    return {"task": arm.task, "mode": arm.mode, "generator": arm.source_label, "classifier": arm.classifier.label}


def _synthesis(synthesis: Synthesis) -> dict[str, Any]:
    """The record with its yield ledger unfolded (``requested`` to ``kept``, ``rejected`` beside the other fields) and
    what a kept row cost; null where the price is unknown or none was kept.
    """
    fields = _plain(synthesis)
    del fields["source"]
    if synthesis.source:
        fields["generator"] = synthesis.source.label
    yields, cost = fields.pop("yields"), synthesis.cost_usd
    per_row = cost / yields["kept"] if cost is not None and yields["kept"] else None
    return {**yields, **fields, "cost_per_kept_usd": per_row}


def _totals(syntheses: Sequence[Synthesis], trials: Sequence[Trial], questions: Spent) -> dict[str, Any]:
    """Sums over the whole study, stored parts included; ``seconds`` is generating plus training, not wall time.

    A synthesis that several modes train on is listed for each of them and counts once. An LLM that classifies is a
    trial, whose calls and seconds are among the questions'.
    """
    syntheses = list({synthesis.key or number: synthesis for number, synthesis in enumerate(syntheses)}.values())
    costs = [questions.cost_usd, *(synthesis.cost_usd for synthesis in syntheses)]
    seconds = sum(synthesis.seconds for synthesis in syntheses) + questions.seconds
    return {
        "calls": sum(synthesis.calls for synthesis in syntheses) + questions.calls,
        "calls_estimated": sum(item.calls_estimated for item in syntheses) + questions.calls_estimated,
        "tokens_in": sum(synthesis.tokens_in for synthesis in syntheses) + questions.tokens_in,
        "tokens_out": sum(synthesis.tokens_out for synthesis in syntheses) + questions.tokens_out,
        "cost_usd": known_sum(costs),
        "seconds": seconds + sum(trial.seconds for trial in trials if trial.latency_s is None),
        "cells": len(trials),
        "cells_failed": sum(trial.status != "ok" for trial in trials),
        "cells_stored": sum(trial.cached for trial in trials),
    }


def _booked(booked: Booked | None) -> dict[str, Any]:
    """Dollars that the budget counts as spent: those for lost answers are among them, those of earlier runs are not."""
    if booked is None:
        return {"booked_usd": None, "booked_estimated_usd": None}
    return {"booked_usd": booked.usd, "booked_estimated_usd": booked.estimated_usd}


@cache
def versions() -> dict[str, str]:
    """Versions of what shapes a result, read from package metadata without importing any of it."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if "litellm" in found:
        prices = metadata.distribution("litellm").locate_file(PRICES)
        digest = hashlib.sha256(prices.read_bytes()).hexdigest()[:12]  # type: ignore[attr-defined]
        found["price map"] = f"litellm {found['litellm']}, sha256 {digest}"
    return found


def _json_safe(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(item) for item in value]
    return value
