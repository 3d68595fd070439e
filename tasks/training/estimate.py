"""Estimated time of trials before any runs, from earlier trials of the same classifier or from measured constants.

Each fine-tuning takes its own time. Probes share the slow part, which is embedding each distinct text that the store
lacks.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from tasks.config import EMBEDDED_CLASSIFIER, ClassifierConfig
from tasks.records import TaskData, TrialJob
from tasks.store import Store
from tasks.training.classifiers import probe
from tasks.training.embeddings import seconds_per_character, stored_texts
from tasks.training.screening import is_screened
from tasks.training.trial import KIND, StoredTrial

PREDICT_SHARE = 0.1
"""Time to predict a row as a share of the time to train on it once: no gradients and hardly any padding."""
EMBEDDED_SECONDS = 0.012
"""Seconds to train the packaged encoder on a row once, on two CPU cores."""
EMBEDDED_CHARACTER = 5e-5
"""Seconds to embed a character with the packaged encoder, on two CPU cores."""
PROBE_SECONDS = 0.05
"""Seconds to fit a probe, to test it and to store its predictions."""
START_SECONDS = 15.0
"""Seconds that a run with trainings takes for other work: servers, libraries, results. The first run in a home took
17 s on two CPU cores, including 2 s of training (``make bench-startup``).
"""
PAST_TRIALS = 50


def seconds_to_train(
    jobs: Iterable[TrialJob], data: Sequence[TaskData], test_rows: int | None, store: Store
) -> float | None:
    """Seconds that trials take one after the other, plus the start of their run; null if the speed of a classifier is
    unknown.

    ``data`` are the rows of the jobs' tasks, ``test_rows`` the number that each trial predicts, null for all.
    """
    probes: dict[tuple[str, str], list[TrialJob]] = {}
    fine_tuned: list[TrialJob] = []
    for job in jobs:
        if is_screened(job.classifier):
            probes.setdefault((job.task.name, job.arm.classifier.key), []).append(job)
        else:
            fine_tuned.append(job)
    of_task = {rows.task.name: rows for rows in data}
    tested = {name: min(test_rows or len(rows.test), len(rows.test)) for name, rows in of_task.items()}
    rates = {EMBEDDED_CLASSIFIER: EMBEDDED_SECONDS, **_rates(store)} if fine_tuned else {}
    total = START_SECONDS if fine_tuned or probes else 0.0
    for job in fine_tuned:
        if job.classifier.model not in rates:
            return None
        work = _work(job.classifier, sum(job.label_counts.values()), tested[job.task.name])
        total += rates[job.classifier.model] * work
    for (name, _), alike in probes.items():
        seconds = _seconds_to_screen(alike, of_task[name], tested[name], store)
        if seconds is None:
            return None
        total += seconds
    return total


def _seconds_to_screen(jobs: Sequence[TrialJob], data: TaskData, test_rows: int, store: Store) -> float | None:
    """Seconds of the probes of one task on one encoder: embedding of new texts, and a small time for each cell."""
    embedder = probe.embedder_of(jobs[0].classifier)
    known = EMBEDDED_CHARACTER if embedder.encoder.name == EMBEDDED_CLASSIFIER else None
    rate = seconds_per_character(embedder, store) or known
    if rate is None:
        return None
    real = [row.text for split in (data.train, data.test) for row in split]
    new = 1 - stored_texts(real, embedder, store) / len(real)
    drawn: dict[int, int] = {}
    made: dict[tuple[str, int], int] = {}
    for job in jobs:
        rows = sum(job.label_counts.values())
        if job.arm.source is None:
            drawn[job.draw] = max(rows, drawn.get(job.draw, 0))
        else:
            made[job.arm.source.key, job.draw] = max(rows, made.get((job.arm.source.key, job.draw), 0))
    texts = new * (test_rows + _union(drawn, len(data.train))) + sum(made.values())
    return PROBE_SECONDS * len(jobs) + rate * texts * sum(map(len, real)) / len(real)


def _union(drawn: Mapping[int, int], rows: int) -> float:
    """Expected number of distinct rows in several independent draws from ``rows`` rows."""
    return rows * (1 - prod(1 - min(1.0, size / rows) for size in drawn.values())) if rows else 0.0


def _work(classifier: ClassifierConfig, train_rows: int, test_rows: int) -> float:
    """Rows trained on, counted once in each pass, plus the equivalent of predicting the test rows."""
    trained = max(classifier.min_steps * classifier.batch_size, classifier.epochs * train_rows)
    return trained + PREDICT_SHARE * test_rows


def _rates(store: Store) -> dict[str, float]:
    """Seconds per unit of work by classifier, over finished fine-tunings in the store."""
    found: dict[str, list[float]] = {}
    for trial in store.past(KIND, StoredTrial, PAST_TRIALS):
        config = ClassifierConfig.model_validate(trial.config) if trial.config is not None else None
        if config is not None and not is_screened(config):  # null for an arm without training
            work = _work(config, trial.n_train, trial.n_test)
            found.setdefault(config.model, []).append(trial.scores.seconds / work)
    return {model: sum(rates) / len(rates) for model, rates in found.items()}
