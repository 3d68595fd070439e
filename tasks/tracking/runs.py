"""MLflow's runs: one parent run for each run of a study, one child run for each cell.

Everything goes through a client with explicit run ids, because MLflow's active run is thread-local and trials finish on
many threads. There is one child for a cell and key in an experiment: a later run of the study that meets the same
trial again moves that child below itself instead of logging a twin, so the newest parent always shows the whole grid
and the table of runs never counts a cell twice. What an older parent had stays in its ``results.json``.

This package alone imports mlflow. A server that goes away in the middle of a study is waited for (``outage``).
"""

import contextlib
import functools
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from tasks.config import StudyConfig
from tasks.errors import RunError, without_password
from tasks.processes import birth
from tasks.records import CellJob, Trial, readable, short
from tasks.reporting.results import Results, to_json
from tasks.settings import Settings
from tasks.tracking.connection import check_alive, check_database, clear_errors, connect, database_of
from tasks.tracking.contents import (
    LONGEST_NAME,
    LONGEST_TAG,
    as_metrics,
    as_params,
    as_tags,
    datasets_of,
    prediction_files,
    rounded,
    study_metrics,
    study_tags,
    trial_metrics,
    trial_params,
)
from tasks.tracking.views import BEST, TRIALS, view_tags
from tasks.waiting import FIRST, held

KEY, CELL, STUDY, PROCESS, ERROR = (f"synthgap.{name}" for name in ("key", "cell", "study", "process", "error"))
VERDICT = "synthgap.verdict"
PARENT = "mlflow.parentRunId"
NOTE = (
    "A run for each run of this study, and below it one for each trial. `gap`: macro-F1 less that of as many real rows."
)
"""One line, which is what MLflow shows of it above the table."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": NOTE}
"""Marks the experiment as one of model training; the list of experiments shows it so, with its note."""
VIEW = "workflowType=machine_learning"
"""Opens a page in the UI's "Model training" view: a link without it opens in the view that the browser had last."""

Pairs = Callable[[], Sequence[tuple[str, str]]]
"""Reads a trial's (true label, predicted label) of each test row; called only for a run that is new."""

_reading = threading.Lock()
_begun: set[str] = set()
"""Parent runs of this process, which knows of every run below them that it may find."""


class StudyRun(NamedTuple):
    """Where a running study logs to."""

    experiment_id: str
    run_id: str


@contextlib.contextmanager
def study_run(settings: Settings, config: StudyConfig) -> Iterator[StudyRun]:
    """A new parent run in the study's experiment, ended as failed when the study breaks off.

    Raises ``RunError`` when MLflow cannot be reached.
    """
    experiment_id = prepare(settings, config.name)
    run = StudyRun(experiment_id, start_study(settings, experiment_id, config))
    try:
        yield run
    except BaseException as error:
        with contextlib.suppress(RunError):  # MLflow may be what failed: the next start ends the run then
            fail_study(settings, run.run_id, str(error))
        raise


def prepare(settings: Settings, study: str, first: float = FIRST) -> str:
    """The id of the study's experiment, created where it is missing, in a database that is migrated once.

    A wait for another run that does so is said after ``first`` seconds.
    Raises ``RunError`` when the tracking server does not answer or the database cannot be used.
    """
    uri = settings.mlflow_uri
    if uri.startswith(("http://", "https://")):
        check_alive(uri)
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / "mlflow.lock")
    with clear_errors(uri), held(lock, "MLflow's database, which another run is preparing", first):
        if database_of(uri) not in (None, "sqlite"):
            check_database(uri)
        client = connect(uri)
        found = client.get_experiment_by_name(study)
        if found and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        tags = {**EXPERIMENT_TAGS, **view_tags()}
        if not found:
            return str(client.create_experiment(study, _artifacts_of(settings, study), tags=tags))
        for name, value in tags.items():
            if name not in found.tags:  # one that somebody changed stays as it is
                client.set_experiment_tag(found.experiment_id, name, value)
        return str(found.experiment_id)


def check_run(settings: Settings, run: StudyRun) -> None:
    """Raises ``RunError`` where this process cannot see a run that another process started."""
    with clear_errors(settings.mlflow_uri):
        connect(settings.mlflow_uri).get_run(run.run_id)


def start_study(settings: Settings, experiment_id: str, config: StudyConfig) -> str:
    """The id of a new parent run with the config as parameters; orphans of dead processes of this host are ended."""
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        _sweep(client, experiment_id)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        tags = {STUDY: config.name, PROCESS: _process(), **_source(config.name)}
        run_id: str = client.create_run(experiment_id, tags=tags, run_name=f"{config.name} {started}").info.run_id
        client.log_batch(run_id, params=as_params(config.model_dump(mode="json")))
        client.log_dict(run_id, config.model_dump(mode="json"), "study.yaml")
        _begun.add(run_id)
        return run_id


def log_trial(
    settings: Settings,
    experiment_id: str,
    parent_run_id: str,
    trial: Trial,
    job: CellJob,
    predictions: Pairs | None = None,
) -> str:
    """The id of the trial's child run: the one that its key and cell already have, or a new one.

    Thread-safe, and called by workers of a cluster: what such a one does not know of, another may have made, when it
    died before its trial was done with.
    """
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        children = _known(settings.mlflow_uri, experiment_id, parent_run_id)
        name = trial.key, trial.cell
        child = children.get(name)
        if child is None and parent_run_id not in _begun:
            child = _children(client, experiment_id, f"tags.`{KEY}` = '{trial.key}'").get(name)
        if child and child.finished and trial.status == "ok":
            if child.parent != parent_run_id:
                client.set_tag(child.run_id, PARENT, parent_run_id)
        else:
            if child is None or child.finished:  # a finished run is never overwritten by a failure
                child = _new_child(client, experiment_id, parent_run_id, trial)
            else:
                client.log_batch(child.run_id, tags=as_tags(_outcome_tags(parent_run_id, trial)))
            _fill(client, child.run_id, trial, job, predictions)
        children[name] = _Child(child.run_id, trial.status == "ok", parent_run_id)
        return child.run_id


def finish_study(settings: Settings, run_id: str, results: Results, report_html: str, note: str = "") -> None:
    """Log the outcome on the parent run: totals, scores and gaps as metrics, results.json and report.html as files.

    Each cell's run gets the gap of its comparison. ``note`` is Markdown, shown as the run's description.
    """
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        tags = {**study_tags(results), **({"mlflow.note.content": note} if note else {})}
        client.log_batch(run_id, metrics=as_metrics(study_metrics(results)), tags=as_tags(tags))
        client.log_text(run_id, to_json(results), "results.json")
        client.log_text(run_id, report_html, "report.html")
        _log_gaps(client, results)
        _end_twins(client, run_id)
        client.set_terminated(run_id, "FINISHED" if results.status == "ok" else "FAILED")


def fail_study(settings: Settings, run_id: str, error: str) -> None:
    """End the parent run of a study that broke off before it had results."""
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        client.set_tag(run_id, ERROR, error[:LONGEST_TAG])
        _end_twins(client, run_id)
        client.set_terminated(run_id, "FAILED")


def run_url(settings: Settings, experiment_id: str, run_id: str) -> str | None:
    """Address of a run in the UI; null where the tracking URI is a database and no server is known."""
    return _page(settings, f"experiments/{experiment_id}/runs/{run_id}?{VIEW}")


def study_urls(settings: Settings, run: StudyRun) -> dict[str, str]:
    """What to look at after a run: names for people to addresses in the UI; empty where no server is known."""
    runs = f"experiments/{run.experiment_id}/runs"
    places = {
        "Which LLM and mode is best": f"{runs}?{VIEW}&viewStateShareKey={BEST}",
        "Trial by trial": f"{runs}?{VIEW}&viewStateShareKey={TRIALS}",
        "Report": f"{runs}/{run.run_id}/artifacts/report.html?{VIEW}",
    }
    pages = {name: _page(settings, place) for name, place in places.items()}
    return {name: page for name, page in pages.items() if page}


def _page(settings: Settings, place: str) -> str | None:
    uri = without_password(settings.mlflow_uri.rstrip("/"))
    return f"{uri}/#/{place}" if uri.startswith("http") else None


def _artifacts_of(settings: Settings, study: str) -> str | None:
    """Where a new experiment keeps its files: a server decides for itself, a bare database would use ``./mlruns``."""
    return f"{settings.artifacts_uri}/{study}" if database_of(settings.mlflow_uri) else None


@dataclass(frozen=True, slots=True)
class _Child:
    """What is known of a cell's run."""

    run_id: str
    finished: bool
    parent: str | None


def _known(uri: str, experiment_id: str, parent_run_id: str) -> dict[tuple[str, str], _Child]:
    with _reading:  # a cold cache would search once for each thread
        return _search(uri, experiment_id, parent_run_id)


@functools.lru_cache(maxsize=4)
def _search(uri: str, experiment_id: str, parent_run_id: str) -> dict[tuple[str, str], _Child]:
    """Children of the experiment by key and cell: read once for each parent run, then kept up by ``log_trial``."""
    return _children(connect(uri), experiment_id, f"tags.`{KEY}` LIKE '%'")


def _children(client: Any, experiment_id: str, where: str) -> dict[tuple[str, str], _Child]:
    found: dict[tuple[str, str], _Child] = {}
    for run in _pages(client, experiment_id, where):
        tags = run.data.tags
        child = _Child(run.info.run_id, run.info.status == "FINISHED", tags.get(PARENT))
        name = (tags[KEY], tags.get(CELL, ""))
        if child.finished or name not in found:
            found[name] = child
    return found


def _pages(client: Any, experiment_id: str, where: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment_id], where, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _new_child(client: Any, experiment_id: str, parent_run_id: str, trial: Trial) -> _Child:
    tags = {KEY: trial.key, CELL: trial.cell, PROCESS: _process(), **_source("trial")}
    tags |= _outcome_tags(parent_run_id, trial)
    started = int((time.time() - trial.seconds) * 1000)
    run = client.create_run(experiment_id, start_time=started, tags=tags, run_name=_title(trial))
    return _Child(run.info.run_id, False, parent_run_id)


def _title(trial: Trial) -> str:
    """The cell in names that a column of a table holds; the whole ones are parameters."""
    source = trial.source and short(trial.source)
    return readable(trial.task, trial.mode, source, short(trial.classifier), f"seed {trial.seed}")[:LONGEST_NAME]


def _outcome_tags(parent_run_id: str, trial: Trial) -> dict[str, str]:
    return {PARENT: parent_run_id, ERROR: (trial.error or "")[:LONGEST_TAG]}


def _fill(client: Any, run_id: str, trial: Trial, job: CellJob, predictions: Pairs | None) -> None:
    client.log_batch(run_id, as_metrics(trial_metrics(trial)), as_params(trial_params(trial, job)))
    _log_inputs(client, run_id, datasets_of(trial, job))
    if predictions is not None and trial.status == "ok":
        _log_files(client, run_id, prediction_files(predictions()))
    client.set_terminated(run_id, "FINISHED" if trial.status == "ok" else "FAILED")


def _log_inputs(client: Any, run_id: str, datasets: list[Any]) -> None:
    """Trials share data sets, and MLflow's check-then-insert of one loses the race of two trials that end together."""
    from mlflow.exceptions import MlflowException

    for last in (False, False, True):
        try:
            client.log_inputs(run_id, datasets)
        except MlflowException as error:
            if last or "IntegrityError" not in str(error):
                raise
        else:
            return


def _sweep(client: Any, experiment_id: str) -> None:
    """End the runs that a process of ours left running when it died (kill -9, power, out of memory)."""
    host = socket.gethostname()
    for run in _pages(client, experiment_id, "attributes.status = 'RUNNING'"):
        owner = run.data.tags.get(PROCESS, "")
        if owner.startswith(f"{host}/") and not _alive(owner):
            client.set_tag(run.info.run_id, ERROR, f"its process {owner} ended without an error message")
            client.set_terminated(run.info.run_id, "KILLED")


def _end_twins(client: Any, run_id: str) -> None:
    """End open runs of this process beside ``run_id``: those that a call made whose answer was lost."""
    experiment_id = client.get_run(run_id).info.experiment_id
    for run in _pages(client, experiment_id, f"attributes.status = 'RUNNING' AND tags.`{PROCESS}` = '{_process()}'"):
        if run.info.run_id != run_id:
            client.set_tag(run.info.run_id, ERROR, "made twice: the first answer was lost")
            client.set_terminated(run.info.run_id, "KILLED")


def _process(pid: int | None = None) -> str:
    """``host/pid/start``: the start time tells a process from a later one that got the same number."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}/{pid}/{birth(pid)}"


def _alive(owner: str) -> bool:
    import psutil  # type: ignore[import-untyped]

    try:
        return _process(int(owner.split("/")[1])) == owner
    except psutil.NoSuchProcess:
        return False


def _source(name: str) -> dict[str, str]:
    return {"mlflow.source.name": f"synthgap {name}", "mlflow.source.type": "LOCAL"}


def _log_gaps(client: Any, results: Results) -> None:
    """On each cell of a comparison its gap and interval, the same for all seeds: MLflow shows one run's metrics beside
    another's, and cannot look up a parent's.
    """
    compared = {row.arm: (row.gap, row.verdict) for row in results.comparisons if row.gap}
    for cell in results.cells:
        found = compared.get(cell.arm)
        if found and cell.run_id and cell.status == "ok":
            gap, verdict = found
            values = {"gap": rounded(gap.mean), "gap_low": rounded(gap.low), "gap_high": rounded(gap.high)}
            client.log_batch(cell.run_id, metrics=as_metrics(values), tags=as_tags({VERDICT: verdict}))


def _log_files(client: Any, run_id: str, files: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        client.log_artifacts(run_id, folder)
