"""MLflow's run of a curve: all sizes of one task, mode, source and classifier, logged when a study has its results.

The size is the step of the metrics, so that MLflow's charts draw the curve. It is the number of rows for each label. If
the study does not set this number (the reference, real rows that match a short synthesis), the step is the number of
all rows, and the arms form a separate curve. Two settings of one LLM or classifier are two curves. The replicates of a
curve are a table among its files.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from tasks.config import StudyConfig
from tasks.records import Arm, Comparison, Synthesis, Trial, by_arm, configured, content_key, known_sum
from tasks.settings import Settings
from tasks.tracking.connection import clear_errors, connect, log_files
from tasks.tracking.contents import (
    LONGEST_TAG,
    as_metrics,
    as_params,
    confusion_html,
    rounded,
    title,
)
from tasks.tracking.runs import StudyRun
from tasks.tracking.tags import CURVE, ERROR, PARENT, TABLES, VERDICT, own_tags
from tasks.tracking.views import is_ours, newest_view

Pairs = Callable[[Trial], Sequence[tuple[str, str]]]
"""Reads (true label, predicted label) of each test row of a finished trial."""

TABLE, CONFUSION = "replicates.json", "confusion.html"
COLUMNS = ("size", "seed", "status", "n_train", "n_test", "macro_f1", "accuracy", "seconds", "key", "run_id", "error")
"""Columns of the table of replicates; ``run_id`` is the run of a fine-tuned trial."""


@dataclass(frozen=True)
class SizeCurve:
    """The arms of one curve in the order of their sizes, each with its trials."""

    arms: Mapping[Arm, Sequence[Trial]]

    @property
    def arm(self) -> Arm:
        """The arm of the largest size. The facts that all arms share are read from it."""
        return list(self.arms)[-1]

    @property
    def trials(self) -> list[Trial]:
        """The trials of all sizes."""
        return [trial for trials in self.arms.values() for trial in trials]

    @property
    def name(self) -> str:
        """Name of the run in MLflow."""
        return title(self.arm, "rows in all" if self.arm.trained and self.arm.size is None else None)


def curves_of(trials: Sequence[Trial]) -> list[SizeCurve]:
    """The curves of a study, in the order of their first trials."""
    found: dict[str, dict[Arm, list[Trial]]] = {}
    for arm, group in by_arm(trials).items():
        found.setdefault(curve_key(arm), {})[arm] = group
    return [SizeCurve({arm: arms[arm] for arm in sorted(arms, key=step_of)}) for arms in found.values()]


def curve_key(arm: Arm) -> str:
    """Key of an arm's curve, the same in all runs of all studies."""
    source = arm.source.key if arm.source else None
    return content_key([arm.task, arm.mode, source, arm.classifier.key, arm.size is None])


def step_of(arm: Arm) -> int:
    """The step of an arm's metrics: rows for each label, or all rows; 0 without training."""
    return sum(rows for _, rows in arm.rows) if arm.size is None else arm.size


def log_curves(
    settings: Settings,
    run: StudyRun,
    config: StudyConfig,
    trials: Sequence[Trial],
    comparisons: Sequence[Comparison],
    syntheses: Sequence[Synthesis],
    pairs: Pairs,
) -> list[Trial]:
    """Log the curves of a study's trials below its run, and show them in the view of the newest run.

    Returns the trials with their runs: a trial without a run of its own gets the run of its curve.
    """
    compared = {row.arm: row for row in comparisons}
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        ids, curves = {}, curves_of(trials)
        for curve in curves:
            points = {arm: point(arm, group, compared.get(arm), syntheses) for arm, group in curve.arms.items()}
            verdict = compared[curve.arm].verdict if curve.arm in compared else ""
            ids[curve_key(curve.arm)] = _log(
                client, run, curve, points, curve_params(curve.arm, config), verdict, pairs
            )
        lines = any(len(curve.arms) > 1 for curve in curves)
        tags = client.get_experiment(run.experiment_id).tags
        for tag, view in newest_view(run.run_id, lines).items():
            if tag not in tags or is_ours(tags[tag]):
                client.set_experiment_tag(run.experiment_id, tag, view)
    return [trial if trial.run_id else replace(trial, run_id=ids[curve_key(trial.arm)]) for trial in trials]


def point(
    arm: Arm, trials: Sequence[Trial], comparison: Comparison | None, syntheses: Sequence[Synthesis]
) -> dict[str, float | None]:
    """Metrics of one size: means over the replicates with a score; null if unknown."""
    scored = [trial for trial in trials if trial.macro_f1 is not None]
    found: dict[str, float | None] = {
        name: rounded(_mean([getattr(trial, name) for trial in scored])) for name in ("macro_f1", "accuracy")
    }
    if comparison and comparison.macro_f1:
        found |= {f"macro_f1_{end}": rounded(getattr(comparison.macro_f1, end)) for end in ("low", "high")}
    if comparison and comparison.gap:
        gap = comparison.gap
        found |= {"gap": rounded(gap.mean), "gap_low": rounded(gap.low), "gap_high": rounded(gap.high)}
    found |= {name: _mean([getattr(trial, name) for trial in scored]) for name in ("n_train", "n_test", "seconds")}
    found |= {"replicates": float(len(scored)), "replicates_failed": float(len(trials) - len(scored))}
    found |= {"cost_usd": _cost(arm, trials, syntheses), "latency_s": _mean([trial.latency_s for trial in scored])}
    for label in dict.fromkeys(label for trial in scored for label in trial.per_label):
        values = [trial.per_label[label]["f1"] for trial in scored if label in trial.per_label]
        found[f"f1/{label}"] = rounded(_mean(values))
    return found


def table(curve: SizeCurve) -> str:
    """The replicates as JSON that MLflow shows as a table (pandas' ``orient="split"``)."""
    trials = [replace(one, macro_f1=rounded(one.macro_f1), accuracy=rounded(one.accuracy)) for one in curve.trials]
    rows = [[trial.arm.size, *(getattr(trial, name) for name in COLUMNS[1:])] for trial in trials]
    return json.dumps({"columns": COLUMNS, "data": rows})


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _cost(arm: Arm, trials: Sequence[Trial], syntheses: Sequence[Synthesis]) -> float | None:
    """Dollars for the generated rows of all replicates, or for the LLM's answers; null if unknown and for real rows."""
    if arm.source:
        whose = (arm.task, arm.mode, arm.source)
        made = {item.key: item.cost_usd for item in syntheses if (item.task, item.mode, item.source) == whose}
        return known_sum(made.values()) if made else None
    answered = [trial.cost_usd for trial in trials if trial.latency_s is not None]
    return known_sum(answered) if answered else None


def curve_params(arm: Arm, config: StudyConfig) -> dict[str, Any]:
    """Parameters of a curve: what its arms share, and the settings of the training."""
    names = {"task": arm.task, "mode": arm.mode, "generator": arm.source_label, "classifier": arm.classifier.label}
    trained = (item for item in config.classifiers if arm.trained and configured(item).key == arm.classifier.key)
    return {**names, **next((item.model_dump(mode="json", exclude={"model"}) for item in trained), {})}


def _log(
    client: Any,
    run: StudyRun,
    curve: SizeCurve,
    points: Mapping[Arm, Mapping[str, float | None]],
    params: Mapping[str, Any],
    verdict: str,
    pairs: Pairs,
) -> str:
    """Log a curve; returns the id of its run."""
    errors = [trial.error or "failed" for trial in curve.trials if trial.status != "ok"]
    tables = json.dumps([{"path": TABLE, "type": "table"}])
    tags = {**own_tags("curve"), PARENT: run.run_id, CURVE: curve_key(curve.arm), TABLES: tables}
    tags |= {name: text[:LONGEST_TAG] for name, text in ((VERDICT, verdict), (ERROR, "".join(errors[:1]))) if text}
    run_id = str(client.create_run(run.experiment_id, tags=tags, run_name=curve.name).info.run_id)
    metrics = [metric for arm, values in points.items() for metric in as_metrics(values, step_of(arm))]
    client.log_batch(run_id, metrics=metrics, params=as_params(params))
    log_files(client, run_id, {TABLE: table(curve), **_confusion(curve, pairs)})
    client.set_terminated(run_id, "FAILED" if errors else "FINISHED")
    return run_id


def _confusion(curve: SizeCurve, pairs: Pairs) -> dict[str, str]:
    """The confusion matrix of the largest size with scores, summed over its replicates."""
    for trials in reversed(list(curve.arms.values())):
        counts = Counter(pair for trial in trials if trial.status == "ok" for pair in pairs(trial))
        if counts:
            return {CONFUSION: confusion_html(counts)}
    return {}
