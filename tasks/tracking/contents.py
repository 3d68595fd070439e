"""The content of MLflow's runs of studies and fine-tuned trials, in the form that MLflow accepts."""

import csv
import html
import io
import json
import posixpath
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.records import Arm, CellJob, Trial, TrialJob, content_key, readable, short
from tasks.reporting.results import Results
from tasks.reporting.section import Section
from tasks.reporting.sections import SECTIONS

LONGEST_TAG = 8000
"""Most characters of a tag's value in MLflow."""
LONGEST_NAME = 250
"""Most characters of the name of a metric, a parameter or a run in MLflow and its databases."""


def title(arm: Arm, last: str | None) -> str:
    """Short name of a run: the arm, and ``last`` to distinguish runs of one arm. Parameters have the full names."""
    source = short(arm.source.label) if arm.source else None
    return readable(arm.task, arm.mode, source, short(arm.classifier.label), last)[:LONGEST_NAME]


def trial_params(trial: Trial, job: CellJob) -> dict[str, Any]:
    """Parameters of a trial: the cell, its arm, and the settings of the training."""
    shape = {"task": trial.task, "mode": trial.mode, "generator": trial.source, "seed": trial.seed}
    training = job.classifier.model_dump(mode="json", exclude={"model"}) if isinstance(job, TrialJob) else {}
    rows = f"{sum(job.label_counts.values())} rows" if isinstance(job, TrialJob) else None
    arm = readable(trial.task, trial.mode, trial.source, rows, trial.classifier)  # the same for all seeds
    return {**shape, "classifier": trial.classifier, "arm": arm, **training}


def trial_metrics(trial: Trial) -> dict[str, float | None]:
    """Metrics of a trial. Numbers of rows are metrics, because they may change when a failed trial is repeated."""
    scores = {"macro_f1": rounded(trial.macro_f1), "accuracy": rounded(trial.accuracy), "seconds": trial.seconds}
    scores |= {"cost_usd": trial.cost_usd, "latency_s": trial.latency_s}
    sizes = {"n_train": float(trial.n_train), "n_test": float(trial.n_test)}
    per_label = {
        f"{kind}/{label}": rounded(value) for label, row in trial.per_label.items() for kind, value in row.items()
    }
    return {**scores, **sizes, **per_label}


def study_metrics(results: Results, sections: Sequence[Section] = SECTIONS) -> dict[str, float | None]:
    """The metrics of all sections."""
    return {name: value for section in sections for name, value in section.metrics(results).items()}


def study_tags(results: Results, sections: Sequence[Section] = SECTIONS) -> dict[str, str]:
    """The tags of all sections."""
    return {_name(name): value for section in sections for name, value in section.tags(results).items()}


def datasets_of(trial: Trial, job: CellJob) -> list[Any]:
    """Training and test rows with their content keys: MLflow's own digest reads only the first 10,000 rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(name, digest, "synthgap", f'{{"key": "{digest}"}}', profile=f'{{"num_rows": {rows}}}'),
            [InputTag("mlflow.data.context", context)],
        )
        for context, (name, digest, rows) in _rows_of(trial, job).items()
    ]


def _rows_of(trial: Trial, job: CellJob) -> dict[str, tuple[str, str, int]]:
    """Name, content key and number of rows by context. A cell without training has only a test set, with a key of its
    own.
    """
    if not isinstance(job, TrialJob):
        return {"testing": (f"{trial.task} test", content_key([trial.key, "test"]), trial.n_test)}
    train = job.synthesis_key or content_key([job.data_key, None, job.draw, dict(job.label_counts)])
    return {
        "training": (f"{trial.task} {trial.mode}", train, trial.n_train),
        "testing": (f"{trial.task} test", content_key([job.data_key, job.test_rows]), trial.n_test),
    }


def prediction_files(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Predictions and confusion matrix as tables for MLflow's artifact viewer. They contain labels but no texts."""
    counts = Counter(pairs)
    labels = _labels(counts)
    matrix: list[list[Any]] = [
        ["true \\ predicted", *labels],
        *[[row, *[counts[row, col] for col in labels]] for row in labels],
    ]
    return {
        "predictions.csv": _csv([("true", "predicted"), *pairs]),
        "confusion.csv": _csv(matrix),
        "confusion.html": confusion_html(counts),
    }


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _labels(counts: Mapping[tuple[str, str], int]) -> list[str]:
    return sorted({label for pair in counts for label in pair})


def confusion_html(counts: Mapping[tuple[str, str], int]) -> str:
    """Counts of (true label, predicted label) as an HTML table, shaded by the share of each true label.

    A picture would take 100 ms longer.
    """
    labels = _labels(counts)
    head = "".join(f"<th scope=col>{html.escape(label)}</th>" for label in labels)
    body = ""
    for row in labels:
        total = sum(counts[row, col] for col in labels) or 1
        cells = "".join(
            f'<td style="background:rgb(0 114 178/{counts[row, col] / total:.2f});'
            f'color:{"#fff" if counts[row, col] > 0.55 * total else "#111"}">{counts[row, col]}</td>'
            for col in labels
        )
        body += f"<tr><th scope=row>{html.escape(row)}</th>{cells}</tr>"
    style = "body{font:14px system-ui;background:#fff;color:#111}td,th{padding:.5em .8em;text-align:right}"
    caption = "<caption>Rows: true label. Columns: predicted label. Shade: share of the row.</caption>"
    return f"<!doctype html><meta charset=utf-8><style>{style}</style><table>{caption}<tr><th>{head}</tr>{body}</table>"


def as_metrics(values: Mapping[str, float | None], step: int = 0) -> list[Any]:
    """Metrics without unknown values (a price, the score of a failed trial); none of these is logged as zero."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(_name(key), float(value), now, step) for key, value in values.items() if value is not None]


def rounded(value: float | None) -> float | None:
    """Rounded to the width of a column in MLflow's tables; ``results.json`` has all digits."""
    return None if value is None else round(value, 4)


def as_params(values: Mapping[str, Any]) -> list[Any]:
    """Parameters: text unchanged, other values as JSON, without nulls."""
    from mlflow.entities import Param

    plain = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return [Param(_name(key), value[:6000]) for key, value in plain.items() if values[key] is not None]


def as_tags(values: Mapping[str, str]) -> list[Any]:
    """Tags with values of at most ``LONGEST_TAG`` characters."""
    from mlflow.entities import RunTag

    return [RunTag(key, value[:LONGEST_TAG]) for key, value in values.items()]


def _name(key: str) -> str:
    """A name that MLflow accepts. Users choose labels: a character that MLflow refuses becomes its code point.

    A name that is too long is cut and ends with a hash of the full name. Different keys have different names.
    """
    plain = re.sub(r"[^/\w.\- :]", _code_point, key)
    plain = re.sub("//+", lambda hit: "/" + "U002F" * (len(hit[0]) - 1), plain)  # an address in a label
    if posixpath.normpath(plain) != plain:
        plain = re.sub("[/.]", _code_point, plain)
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 17]} {content_key(key)[:16]}"


def _code_point(hit: re.Match[str]) -> str:
    return f"U{ord(hit[0]):04X}"
