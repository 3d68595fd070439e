"""One trial: train on given rows, predict the test rows, score; or find the trial in the store if it was done before.

The key covers the rows and everything that affects the training, but not the source of the rows: the same rows from
another mode or LLM are the same trial.
"""

import functools
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import RunError, UserError
from tasks.records import Example, Trial, TrialJob, canonical, count_labels, key_of_parts
from tasks.settings import Settings
from tasks.store import Store, needed
from tasks.training import worker
from tasks.training.classifiers import kind_of, resolve
from tasks.training.devices import device_name
from tasks.training.evaluate import evaluate
from tasks.training.hardware import cores, precision
from tasks.training.request import Training
from tasks.training.weights import part_of, settle

if TYPE_CHECKING:
    import numpy as np

TRAINING_VERSION = 1
"""Increase it when a change of code changes the result of a training."""

LIKE_ROWS = 4
"""Sets of rows whose part of a key stays in memory. Cells that differ only in seed or classifier run one after the
other."""

KIND = "trials"
PREDICTIONS = "predictions.jsonl"

Train = Callable[[Training], "np.ndarray"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A trained classifier's prediction for one test row."""

    item: str
    """Hash of the row's text, by which trials are paired."""
    label: str
    predicted: str
    probabilities: tuple[float, ...]
    """In the task's order of labels."""
    agreement: float | None
    """Share of human raters who chose the label; null if unknown."""


@dataclass(frozen=True)
class Scores:
    """The stored scores of a trial; fields as in ``Trial``."""

    macro_f1: float
    accuracy: float
    per_label: Mapping[str, Mapping[str, int | float]]
    seconds: float = 0.0
    cost_usd: float | None = None
    latency_s: float | None = None


@dataclass(frozen=True)
class StoredTrial:
    """The parts of a stored trial's manifest that are read."""

    scores: Scores
    n_test: int
    n_train: int = 0
    config: Mapping[str, Any] | None = None
    """The classifier's config; null without training."""
    label_counts: Mapping[str, int] = field(default_factory=dict)
    """For a trial without training: the number of rows shown, by label."""


def train_in_worker(training: Training) -> "np.ndarray":
    """Train in a worker process; returns probabilities of the test texts, float64 (texts, labels)."""
    return worker.call(kind_of(training.config).fit_predict, training)


def trial_key(job: TrialJob, train_rows: Sequence[Example], test_rows: Sequence[Example]) -> str:
    """Content key of a trial: covers everything that affects its scores, so not the order of rows."""
    parts = {
        "version": TRAINING_VERSION,
        "labels": list(job.task.labels),
        "classifier": resolve(job.classifier),
        "seed": job.seed,
        "precision": precision(),
    }
    rows = {"train": _trained_json(tuple(train_rows)), "test": _tested_json(tuple(test_rows))}
    return key_of_parts({name: canonical(value) for name, value in parts.items()} | rows)


@functools.lru_cache(maxsize=LIKE_ROWS)
def _trained_json(rows: tuple[Example, ...]) -> str:
    return canonical(sorted((row.text, row.label) for row in rows))


@functools.lru_cache(maxsize=LIKE_ROWS)
def _tested_json(rows: tuple[Example, ...]) -> str:
    return canonical(sorted((row.text, row.label, -1 if row.agreement is None else row.agreement) for row in rows))


def run_trial(
    job: TrialJob,
    settings: Settings,
    train_rows: Sequence[Example],
    test_rows: Sequence[Example],
    *,
    trainings: int = 1,
    train: Train = train_in_worker,
    weights: Path | None = None,
) -> Trial:
    """Train and test one cell, or find it in the store.

    ``trainings`` is the number of trainings that run at the same time and share the cores. If the disk has room, the
    model is written to ``weights``, in a folder with the trial's key. A training that fails gives a trial with status
    ``failed`` and its reason; it is not stored, so that the next run tries again. Raises ``RunError`` if the store
    cannot be used.
    """
    store = Store(settings.store_url)
    key = trial_key(job, train_rows, test_rows)
    found = stored_trial(store, key, job, train_rows, test_rows)
    if found is not None:
        return found
    started, part = time.monotonic(), part_of(weights, key)
    try:
        threads = max(1, cores() // trainings)
        predictions = _predict(job, train_rows, test_rows, threads, train, str(part) if part else None)
    except (RunError, UserError) as error:
        return failed_trial(key, job, train_rows, test_rows, error, time.monotonic() - started)
    trial = keep_trial(store, key, job, train_rows, predictions, time.monotonic() - started)
    if part:
        settle(part)
    return trial


def stored_trial(
    store: Store, key: str, job: TrialJob, train_rows: Sequence[Example], test_rows: Sequence[Example]
) -> Trial | None:
    """The trial of a cell from the store; null if the store lacks it."""
    found = find_trial(store, key)
    if found is None:
        return None
    seen = count_labels(train_rows, job.task.labels)
    return job.ended(key, seen, len(test_rows), cached=True, **asdict(found.scores))


def failed_trial(
    key: str,
    job: TrialJob,
    train_rows: Sequence[Example],
    test_rows: Sequence[Example],
    error: Exception,
    seconds: float = 0.0,
) -> Trial:
    """The trial of a cell whose training failed; it is not stored, so that the next run tries again."""
    seen = count_labels(train_rows, job.task.labels)
    return job.ended(key, seen, len(test_rows), error=str(error), seconds=seconds)


def keep_trial(
    store: Store,
    key: str,
    job: TrialJob,
    train_rows: Sequence[Example],
    predictions: Sequence[Prediction],
    seconds: float,
) -> Trial:
    """Score a trained cell and put it into the store."""
    labels = list(job.task.labels)
    evaluation = asdict(evaluate([p.label for p in predictions], [p.predicted for p in predictions], labels))
    manifest = {"labels": labels, "classifier": resolve(job.classifier), "seed": job.seed}
    manifest |= {"precision": precision(), "device": device_name(), "confusion": evaluation.pop("confusion")}
    manifest |= {"config": job.classifier.model_dump(), "n_train": len(train_rows), "n_test": len(predictions)}
    scores = evaluation | {"seconds": round(seconds, 3)}
    store.put(KIND, key, manifest | {"scores": scores}, {PREDICTIONS: predictions})
    return job.ended(key, count_labels(train_rows, job.task.labels), len(predictions), **scores)


def train_model(
    job: TrialJob,
    settings: Settings,
    train_rows: Sequence[Example],
    test_rows: Sequence[Example],
    folder: Path,
    *,
    train: Train = train_in_worker,
) -> float:
    """Train a finished cell once more, on the same rows with the same seed, and write the model to ``folder``.

    Only few trials keep their models (``weights``), because a study has hundreds of trials. Returns ``agreement``.
    Raises ``RunError`` if it fails.
    """
    again = _predict(job, train_rows, test_rows, cores(), train, str(folder))
    if not folder.is_dir() or not any(folder.iterdir()):
        raise RunError(f"cannot write the model of {job.cell!r} to {str(folder)!r}; is the disk full?")
    return agreement(Store(settings.store_url), trial_key(job, train_rows, test_rows), again)


def agreement(store: Store, key: str, again: Sequence[Prediction]) -> float:
    """The share of test rows for which a model that was trained again predicts the same label as the trial. It is 1 on
    the same machine, and can be less if another machine's arithmetic differs.
    """
    known = {item.item: item.predicted for item in needed_predictions(store, key)}
    return sum(known[item.item] == item.predicted for item in again) / len(again)


def read_predictions(store: Store, key: str) -> tuple[Prediction, ...]:
    """The predictions of a finished trial, in the order of its test rows. Raises ``FileNotFoundError``."""
    return store.rows(KIND, key, PREDICTIONS, Prediction)


def needed_predictions(store: Store, key: str) -> tuple[Prediction, ...]:
    """The predictions of a trial that a study needs. Raises ``RunError`` if they are gone or damaged."""
    with needed():
        return read_predictions(store, key)


def find_trial(store: Store, key: str) -> StoredTrial | None:
    """A finished trial; null if there is none or its predictions are damaged."""
    found = store.record(KIND, key, StoredTrial)
    if found is None:
        return None
    try:
        if len(read_predictions(store, key)) == found.n_test:
            store.touch(KIND, key)
            return found
    except FileNotFoundError:
        return None
    store.damaged(KIND, key, f"{PREDICTIONS} has other rows than the manifest counts")
    return None


def label_pairs(store: Store, key: str) -> list[tuple[str, str]]:
    """(true, predicted) label of each test row of a finished trial. Raises ``RunError`` like ``needed_predictions``."""
    return [(prediction.label, prediction.predicted) for prediction in needed_predictions(store, key)]


def item_key(text: str) -> str:
    """Identifies a test row in predictions."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _predict(
    job: TrialJob,
    train_rows: Sequence[Example],
    test_rows: Sequence[Example],
    threads: int,
    train: Train,
    save_to: str | None = None,
) -> list[Prediction]:
    check_rows(job.task.labels, train_rows, test_rows)
    rows = in_order(train_rows)
    training = Training(
        config=job.classifier,
        labels=tuple(job.task.labels),
        texts=tuple(text for text, _ in rows),
        row_labels=tuple(label for _, label in rows),
        test_texts=tuple(row.text for row in test_rows),
        seed=job.seed,
        precision=precision(),
        threads=threads,
        save_to=save_to,
    )
    return predictions_of(job, test_rows, train(training))


def in_order(train_rows: Sequence[Example]) -> list[tuple[str, str]]:
    """Texts and labels in the order of training, which is fixed, because the key does not cover the order of rows."""
    return sorted((row.text, row.label) for row in train_rows)


def predictions_of(job: TrialJob, test_rows: Sequence[Example], probabilities: "np.ndarray") -> list[Prediction]:
    """Predictions for the test rows, from a classifier's probabilities (test rows, labels).

    Raises ``RunError`` for NaN.
    """
    if not (probabilities >= 0).all():
        raise RunError(f"classifier {job.classifier.model!r} returned NaN probabilities; try a smaller learning_rate")
    labels = tuple(job.task.labels)
    return [
        Prediction(item_key(row.text), row.label, labels[best], tuple(values), row.agreement)
        for row, best, values in zip(
            test_rows, probabilities.argmax(axis=1).tolist(), probabilities.round(6).tolist(), strict=True
        )
    ]


def check_rows(labels: Iterable[str], train_rows: Sequence[Example], test_rows: Sequence[Example]) -> None:
    """Raises ``UserError`` for rows that cannot be used for a training or a test."""
    if not test_rows:
        raise UserError("there are no test rows")
    present = [label for label, n in count_labels(train_rows, labels).items() if n]
    if len(present) < 2:
        found = f"all {len(train_rows)} have label {present[0]!r}" if present else "there are none"
        raise UserError(f"training rows of at least two labels are needed; {found}")
    strange = {row.label for row in (*train_rows, *test_rows)} - set(labels)
    if strange:
        raise UserError(f"rows with labels that the task does not have: {', '.join(sorted(strange))}")
