"""How long trials would take, before any runs: from finished ones of the same classifier, else from its kind."""

from collections.abc import Iterable

from tasks.config import EMBEDDED_CLASSIFIER, ClassifierConfig
from tasks.records import TrialJob
from tasks.store import Store
from tasks.training.classifiers import probe
from tasks.training.trial import KIND, StoredTrial

PREDICT_SHARE = 0.1
"""Predicting a row costs about this share of training on it once: no gradients, hardly any padding."""
EMBEDDED_SECONDS = 0.012
"""Seconds to train the packaged encoder on a row once, on two CPU cores."""
PAST_TRIALS = 50


def seconds_to_train(jobs: Iterable[TrialJob], test_rows: int, store: Store) -> float | None:
    """Seconds that trials take one after the other; null when nothing is known of a classifier's speed."""
    known = dict.fromkeys((EMBEDDED_CLASSIFIER, f"{probe.PREFIX}{EMBEDDED_CLASSIFIER}"), EMBEDDED_SECONDS)
    rates = {**known, **_rates(store)}
    total = 0.0
    for job in jobs:
        if job.classifier.model not in rates:
            return None
        total += rates[job.classifier.model] * _work(job.classifier, sum(job.label_counts.values()), test_rows)
    return total


def _work(classifier: ClassifierConfig, train_rows: int, test_rows: int) -> float:
    """Rows trained on, counted once a pass, and what predicting adds; a probe only reads rows."""
    if classifier.model.startswith(probe.PREFIX):
        return PREDICT_SHARE * (train_rows + test_rows)
    trained = max(classifier.min_steps * classifier.batch_size, classifier.epochs * train_rows)
    return trained + PREDICT_SHARE * test_rows


def _rates(store: Store) -> dict[str, float]:
    """Seconds per unit of work by classifier, over finished trials in the store."""
    found: dict[str, list[float]] = {}
    for trial in store.past(KIND, StoredTrial, PAST_TRIALS):
        if trial.config is not None:  # null where nothing was trained
            config = ClassifierConfig.model_validate(trial.config)
            work = _work(config, trial.n_train, trial.n_test)
            found.setdefault(config.model, []).append(trial.scores.seconds / work)
    return {model: sum(rates) / len(rates) for model, rates in found.items()}
