"""MLflow's run of a fine-tuned trial, logged when the trial ends, on whichever machine it ran.

A trial has one run in an experiment, below the run of the study that logged it first. A later run of the study that
finds the trial in the store also finds its MLflow run. Probes and cells without training have no run; they are rows in
the table of their curve.
"""

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.records import CellJob, Trial
from tasks.settings import Settings
from tasks.tracking.connection import clear_errors, connect, log_files
from tasks.tracking.contents import (
    as_metrics,
    as_params,
    as_tags,
    datasets_of,
    prediction_files,
    title,
    trial_metrics,
    trial_params,
)
from tasks.tracking.runs import StudyRun, begun_here, found_runs
from tasks.tracking.tags import CELL, ERROR, KEY, PARENT, own_tags

Pairs = Callable[[], Sequence[tuple[str, str]]]
"""Reads (true label, predicted label) of each test row of a trial; called only for a new run."""

Name = tuple[str, str]
"""Key and cell: cells with the same rows share a key."""

_reading = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Logged:
    """A trial's run in MLflow."""

    run_id: str
    finished: bool
    parent: str | None


def log_trial(settings: Settings, run: StudyRun, trial: Trial, job: CellJob, predictions: Pairs | None = None) -> str:
    """The id of the trial's run: the finished run with its key and cell, or a new one below ``run``.

    Thread-safe. Workers of a cluster call it, too: a worker that does not know a run asks the server, because another
    worker may have created it and died before the end of the trial.
    """
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        with _reading:  # otherwise each thread would search while the cache is empty
            known = _search(settings.mlflow_uri, run)
        name = trial.key, trial.cell
        found = known.get(name)
        if found is None and not begun_here(run):
            found = _logged(client, run.experiment_id, f"tags.`{KEY}` = '{trial.key}'").get(name)
        if not (found and found.finished and trial.status == "ok"):
            begun = found if found and not found.finished and found.parent == run.run_id else None
            run_id = begun.run_id if begun else _create(client, run, trial)
            _fill(client, run_id, trial, job, predictions)
            found = _Logged(run_id, trial.status == "ok", run.run_id)
        known[name] = found
        return found.run_id


@functools.lru_cache(maxsize=4)
def _search(uri: str, run: StudyRun) -> dict[Name, _Logged]:
    """Trials of the experiment by key and cell: read once for each run of a study, then updated by ``log_trial``."""
    return _logged(connect(uri), run.experiment_id, f"tags.`{KEY}` LIKE '%'")


def _logged(client: Any, experiment_id: str, where: str) -> dict[Name, _Logged]:
    found: dict[Name, _Logged] = {}
    for run in found_runs(client, experiment_id, where):
        tags = run.data.tags
        trial = _Logged(run.info.run_id, run.info.status == "FINISHED", tags.get(PARENT))
        name = (tags[KEY], tags.get(CELL, ""))
        if trial.finished or name not in found:
            found[name] = trial
    return found


def _create(client: Any, run: StudyRun, trial: Trial) -> str:
    tags = {**own_tags("trial"), KEY: trial.key, CELL: trial.cell, PARENT: run.run_id}
    started = int((time.time() - trial.seconds) * 1000)
    name = title(trial.arm, f"seed {trial.seed}")
    made = client.create_run(run.experiment_id, start_time=started, tags=tags, run_name=name)
    return str(made.info.run_id)


def _fill(client: Any, run_id: str, trial: Trial, job: CellJob, predictions: Pairs | None) -> None:
    why: Mapping[str, str] = {ERROR: trial.error} if trial.error else {}
    client.log_batch(run_id, as_metrics(trial_metrics(trial)), as_params(trial_params(trial, job)), as_tags(why))
    _log_inputs(client, run_id, datasets_of(trial, job))
    if predictions is not None and trial.status == "ok":
        log_files(client, run_id, prediction_files(predictions()))
    client.set_terminated(run_id, "FINISHED" if trial.status == "ok" else "FAILED")


def _log_inputs(client: Any, run_id: str, datasets: list[Any]) -> None:
    """Log data sets, and repeat it if MLflow fails because another trial inserts the same data set at the same time."""
    from mlflow.exceptions import MlflowException

    for last in (False, False, True):
        try:
            client.log_inputs(run_id, datasets)
        except MlflowException as error:
            if last or "IntegrityError" not in str(error):
                raise
        else:
            return
