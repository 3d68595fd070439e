"""Screening: runs many probes together, with the same records, keys and predictions as separate trials.

The common work of a batch's cells is done once: new texts are embedded once, and probes that differ only in their seeds
are fitted once, because a probe has no random part.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from tasks.config import ClassifierConfig
from tasks.errors import RunError, UserError
from tasks.records import Example, Trial, TrialJob
from tasks.settings import Settings
from tasks.store import Store
from tasks.training import embeddings, worker
from tasks.training.classifiers import kind_of, probe
from tasks.training.classifiers.probe import Fit, Fitted
from tasks.training.embeddings import Encode, Vectors
from tasks.training.trial import (
    agreement,
    check_rows,
    failed_trial,
    in_order,
    keep_trial,
    predictions_of,
    stored_trial,
    trial_key,
)

BATCH = 128
"""Most cells of a batch. The texts and probabilities of a batch are in memory together."""

FitEach = Callable[[Vectors, Sequence[Fit], Sequence[str]], Sequence[Fitted | RunError]]


@dataclass(frozen=True)
class Cell:
    """A cell of the grid with its training and test rows."""

    job: TrialJob
    train_rows: Sequence[Example]
    test_rows: Sequence[Example]

    @cached_property
    def key(self) -> str:
        """Key of the trial in the store."""
        return trial_key(self.job, self.train_rows, self.test_rows)

    def stored(self, store: Store) -> Trial | None:
        """The trial from the store; null if the store lacks it."""
        return stored_trial(store, self.key, self.job, self.train_rows, self.test_rows)

    def like(self, twin: Trial) -> Trial:
        """The trial of this cell, copied from another cell's trial on the same rows."""
        return replace(twin, arm=self.job.arm, cached=twin.status == "ok")

    def failed(self, error: Exception) -> Trial:
        """The failed trial of this cell."""
        return failed_trial(self.key, self.job, self.train_rows, self.test_rows, error)


def is_screened(classifier: ClassifierConfig) -> bool:
    """Whether trials of a classifier are run in batches."""
    return kind_of(classifier) is probe


def fit_in_worker(vectors: Vectors, fits: Sequence[Fit], labels: Sequence[str]) -> Sequence[Fitted | RunError]:
    """Fit probes in a worker process."""
    return worker.call(probe.fit_predict_each, vectors, fits, labels)


def batches(jobs: Iterable[TrialJob]) -> Iterator[list[TrialJob]]:
    """Jobs in batches. The jobs of a batch have the same task and probe, so they share most of their texts."""
    alike: dict[tuple[str, str], list[TrialJob]] = {}
    for job in jobs:
        alike.setdefault((job.data_key, job.arm.classifier.key), []).append(job)
    for group in alike.values():
        for start in range(0, len(group), BATCH):
            yield group[start : start + BATCH]


def run_trials(
    batch: Sequence[Cell], settings: Settings, *, encode: Encode | None = None, fit_each: FitEach = fit_in_worker
) -> Iterator[Trial]:
    """The trials of a batch of cells, in order: run, or found in the store.

    A cell that fails gives a trial with status ``failed`` and its reason, as in ``run_trial``; the others still run.
    Raises ``RunError`` if the store cannot be used. ``encode`` replaces the encoder.
    """
    store = Store(settings.store_url)
    done: dict[str, Trial] = {}
    missing: dict[str, Cell] = {}
    for cell in batch:
        if cell.key in done or cell.key in missing:
            continue
        if (found := cell.stored(store)) is not None:
            done[cell.key] = found
            continue
        try:
            check_rows(cell.job.task.labels, cell.train_rows, cell.test_rows)
            missing[cell.key] = cell
        except UserError as error:
            done[cell.key] = cell.failed(error)
    if missing:
        outcomes = _fit(list(missing.values()), store, encode, fit_each)
        done |= {
            cell.key: _kept(cell, outcome, store) for cell, outcome in zip(missing.values(), outcomes, strict=True)
        }
    seen = set[str]()
    for cell in batch:
        twin = cell.key in seen  # same rows, another arm
        seen.add(cell.key)
        yield cell.like(done[cell.key]) if twin else done[cell.key]


def save_probe(cell: Cell, settings: Settings, folder: Path, *, encode: Encode | None = None) -> float:
    """Fit the probe of a finished cell once more, from embeddings in the store, and write it to ``folder``.

    Returns ``agreement``, which is 1, because a probe has no random part. Raises ``RunError`` if it fails.
    """
    store = Store(settings.store_url)
    [fitted] = _fit([cell], store, encode, partial(worker.call, probe.fit_and_save, cell.job.classifier, folder))
    if isinstance(fitted, RunError):
        raise fitted
    return agreement(store, cell.key, predictions_of(cell.job, cell.test_rows, fitted[0]))


def _fit(cells: Sequence[Cell], store: Store, encode: Encode | None, fit_each: FitEach) -> Sequence[Fitted | RunError]:
    """Probabilities and seconds of each cell, with an equal share of the time for embedding; or the error."""
    started, job = time.monotonic(), cells[0].job
    rows = [in_order(cell.train_rows) for cell in cells]
    trained = (text for row in rows for text, _ in row)
    tested = (row.text for cell in cells for row in cell.test_rows)
    place = {text: number for number, text in enumerate(dict.fromkeys(itertools.chain(trained, tested)))}
    fits = [
        Fit(
            tuple(place[text] for text, _ in row),
            tuple(label for _, label in row),
            tuple(place[item.text] for item in cell.test_rows),
        )
        for cell, row in zip(cells, rows, strict=True)
    ]
    distinct = list(dict.fromkeys(fits))
    try:
        vectors = embeddings.embed(list(place), probe.embedder_of(job.classifier), store, encode=encode)
        share = (time.monotonic() - started) / len(cells)
        fitted = dict(zip(distinct, fit_each(vectors, distinct, tuple(job.task.labels)), strict=True))
    except (RunError, UserError) as error:
        return [RunError(str(error))] * len(cells)
    return [
        outcome if isinstance(outcome, RunError) else (outcome[0], outcome[1] + share)
        for outcome in map(fitted.__getitem__, fits)
    ]


def _kept(cell: Cell, outcome: Fitted | RunError, store: Store) -> Trial:
    if isinstance(outcome, RunError):
        return cell.failed(outcome)
    probabilities, seconds = outcome
    try:
        predictions = predictions_of(cell.job, cell.test_rows, probabilities)
    except RunError as error:
        return cell.failed(error)
    return keep_trial(store, cell.key, cell.job, cell.train_rows, predictions, seconds)
