"""MLflow: one parent run for each run of a study, one child run for each cell. The only importer of mlflow.

Everything goes through a client with explicit run ids, because MLflow's active run is thread-local and trials finish on
many threads. There is one child for a cell and key in an experiment: a later run of the study that meets the same
trial again moves that child below itself instead of logging a twin, so the newest parent always shows the whole grid
and the table of runs never counts a cell twice. What an older parent had stays in its ``results.json``.
"""

import contextlib
import csv
import functools
import html
import io
import json
import os
import posixpath
import re
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from filelock import FileLock

from tasks.annotation.baselines import BaselineJob
from tasks.config import StudyConfig
from tasks.errors import RunError
from tasks.records import Trial, TrialJob, content_key
from tasks.settings import Settings

KEY, CELL, STUDY, PROCESS, ERROR = (f"synthgap.{name}" for name in ("key", "cell", "study", "process", "error"))
PARENT = "mlflow.parentRunId"
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Marks the experiment as one of model training; the list of experiments shows it so."""
VIEW = "workflowType=machine_learning"
"""Opens a page in the UI's "Model training" view: a link without it opens in the view that the browser had last."""

Job = TrialJob | BaselineJob

Pairs = Callable[[], Sequence[tuple[str, str]]]
"""Reads a trial's (true label, predicted label) of each test row; called only for a run that is new."""

_reading = threading.Lock()


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
        fail_study(settings, run.run_id, str(error))
        raise


def prepare(settings: Settings, study: str) -> str:
    """The id of the study's experiment, created where it is missing, in a database that is migrated once.

    Raises ``RunError`` when the tracking server does not answer or the database cannot be used.
    """
    uri = settings.mlflow_uri
    if uri.startswith(("http://", "https://")):
        _check_alive(uri)
    settings.home.mkdir(parents=True, exist_ok=True)
    with _clear_errors(uri), FileLock(settings.home / "mlflow.lock"):
        client = _client(uri)
        found = client.get_experiment_by_name(study)
        if found and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if found:
            return str(found.experiment_id)
        return str(client.create_experiment(study, _artifacts_of(settings, study), tags=EXPERIMENT_TAGS))


def start_study(settings: Settings, experiment_id: str, config: StudyConfig) -> str:
    """The id of a new parent run with the config as parameters; orphans of dead processes of this host are ended."""
    with _clear_errors(settings.mlflow_uri):
        client = _client(settings.mlflow_uri)
        _sweep(client, experiment_id)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        tags = {STUDY: config.name, PROCESS: _process(), **_source(config.name)}
        run_id: str = client.create_run(experiment_id, tags=tags, run_name=f"{config.name} {started}").info.run_id
        client.log_batch(run_id, params=_params(config.model_dump(mode="json")))
        client.log_dict(run_id, config.model_dump(mode="json"), "study.yaml")
        return run_id


def log_trial(
    settings: Settings,
    experiment_id: str,
    parent_run_id: str,
    trial: Trial,
    job: Job,
    predictions: Pairs | None = None,
) -> str:
    """The id of the trial's child run: the one that its key and cell already have, or a new one. Thread-safe."""
    with _clear_errors(settings.mlflow_uri):
        client = _client(settings.mlflow_uri)
        children = _known(settings.mlflow_uri, experiment_id, parent_run_id)
        child = children.get((trial.key, trial.cell))
        if child and child.finished and trial.status == "ok":
            if child.parent != parent_run_id:
                client.set_tag(child.run_id, PARENT, parent_run_id)
        else:
            if child is None or child.finished:  # a finished run is never overwritten by a failure
                child = _new_child(client, experiment_id, trial)
            _fill(client, child.run_id, parent_run_id, trial, job, predictions)
        children[trial.key, trial.cell] = _Child(child.run_id, trial.status == "ok", parent_run_id)
        return child.run_id


def finish_study(settings: Settings, run_id: str, results: Mapping[str, Any], report_html: str, note: str = "") -> None:
    """Log the outcome on the parent run: totals, scores and gaps as metrics, results.json and report.html as files.

    ``results`` is the object of ``results.json``; ``note`` is Markdown, shown as the run's description.
    """
    with _clear_errors(settings.mlflow_uri):
        client = _client(settings.mlflow_uri)
        tags = {"mlflow.note.content": note} if note else {}
        client.log_batch(run_id, metrics=_metrics(_study_metrics(results)), tags=_tags(tags))
        client.log_dict(run_id, dict(results), "results.json")
        client.log_text(run_id, report_html, "report.html")
        client.set_terminated(run_id, "FINISHED" if results["status"] == "ok" else "FAILED")


def fail_study(settings: Settings, run_id: str, error: str) -> None:
    """End the parent run of a study that broke off before it had results."""
    with _clear_errors(settings.mlflow_uri):
        client = _client(settings.mlflow_uri)
        client.set_tag(run_id, ERROR, error)
        client.set_terminated(run_id, "FAILED")


def run_url(settings: Settings, experiment_id: str, run_id: str) -> str | None:
    """Address of a run in the UI; null where the tracking URI is a database and no server is known."""
    uri = settings.mlflow_uri.rstrip("/")
    place = f"{uri}/#/experiments/{experiment_id}/runs/{run_id}?{VIEW}"
    return place if uri.startswith("http") else None


# ---- connection ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)
def _client(uri: str) -> Any:
    """One client for each URI: opening a database costs a second, and both kinds of store are thread-safe."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to `synthgap run --json`
        "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    }.items():
        os.environ.setdefault(name, value)
    import logging

    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # forty lines of migrations on first use
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri)


def _check_alive(uri: str) -> None:
    """MLflow's own client retries for minutes before it says that nobody is there; ask once instead."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            return
    except urllib.error.HTTPError:
        return  # somebody answers: a proxy or a login page; the client's own message will be better
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RunError(
            f"no MLflow server answers at {_public(uri)!r} ({reason}); "
            "start it, or unset SYNTHGAP_TRACKING_URI to log to a local database"
        ) from None


@contextlib.contextmanager
def _clear_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow, its HTTP client or the database raise into one ``RunError`` that names the URI."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"mlflow", "requests", "sqlalchemy", "urllib3"}:
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RunError(f"MLflow at {_public(uri)!r}: {lines[0]}") from error


def _public(uri: str) -> str:
    """The URI without user name and password."""
    return re.sub(r"//[^/@]+@", "//", uri)


def _artifacts_of(settings: Settings, study: str) -> str | None:
    """Where a new experiment keeps its files: a server decides for itself, a bare database would use ``./mlruns``."""
    if urlsplit(settings.mlflow_uri).scheme.split("+")[0] in {"sqlite", "postgresql", "mysql", "mssql"}:
        return (settings.home / "mlflow-artifacts" / study).absolute().as_uri()
    return None


# ---- runs ----------------------------------------------------------------------------------------------------------


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
    known: dict[tuple[str, str], _Child] = {}
    for run in _pages(_client(uri), experiment_id, f"tags.`{KEY}` LIKE '%'"):
        tags = run.data.tags
        child = _Child(run.info.run_id, run.info.status == "FINISHED", tags.get(PARENT))
        name = (tags[KEY], tags.get(CELL, ""))
        if child.finished or name not in known:
            known[name] = child
    return known


def _pages(client: Any, experiment_id: str, where: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment_id], where, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _new_child(client: Any, experiment_id: str, trial: Trial) -> _Child:
    tags = {KEY: trial.key, CELL: trial.cell, PROCESS: _process(), **_source("trial")}
    started = int((time.time() - trial.seconds) * 1000)
    run = client.create_run(experiment_id, start_time=started, tags=tags, run_name=trial.cell)
    return _Child(run.info.run_id, False, None)


def _fill(client: Any, run_id: str, parent_run_id: str, trial: Trial, job: Job, predictions: Pairs | None) -> None:
    tags = {PARENT: parent_run_id, ERROR: trial.error or ""}
    client.log_batch(run_id, _metrics(_trial_metrics(trial)), _params(_trial_params(trial, job)), _tags(tags))
    _log_inputs(client, run_id, _datasets(trial, job))
    if predictions is not None and trial.status == "ok":
        _log_files(client, run_id, _prediction_files(predictions()))
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
            client.set_tag(run.info.run_id, ERROR, f"its process {owner} ended without a word")
            client.set_terminated(run.info.run_id, "KILLED")


def _process(pid: int | None = None) -> str:
    """``host/pid/start``: the start time tells a process from a later one that got the same number."""
    import psutil  # type: ignore[import-untyped]

    process = psutil.Process(pid)
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.0f}"


def _alive(owner: str) -> bool:
    import psutil

    try:
        return _process(int(owner.split("/")[1])) == owner
    except psutil.NoSuchProcess:
        return False


def _source(name: str) -> dict[str, str]:
    return {"mlflow.source.name": f"synthgap {name}", "mlflow.source.type": "LOCAL"}


# ---- what is logged ------------------------------------------------------------------------------------------------


def _trial_params(trial: Trial, job: Job) -> dict[str, Any]:
    shape = {"task": trial.task, "mode": trial.mode, "generator": trial.generator, "seed": trial.seed}
    training = job.classifier.model_dump(mode="json", exclude={"model"}) if isinstance(job, TrialJob) else {}
    return {**shape, "classifier": trial.classifier, **training}


def _trial_metrics(trial: Trial) -> dict[str, float | None]:
    """Rows are metrics, not parameters: a failed trial that later succeeds may change them."""
    scores = {"macro_f1": trial.macro_f1, "accuracy": trial.accuracy, "seconds": trial.seconds}
    scores |= {"cost_usd": trial.cost_usd, "latency_s": trial.latency_s}
    sizes = {"n_train": float(trial.n_train), "n_test": float(trial.n_test)}
    per_label = {f"{kind}/{label}": value for label, row in trial.per_label.items() for kind, value in row.items()}
    return {**scores, **sizes, **per_label}


def _study_metrics(results: Mapping[str, Any]) -> dict[str, float | None]:
    """``gap/<task>/<mode>`` and ``macro_f1/<task>/<mode>``, followed by generator and classifier where they vary."""
    comparisons = results["comparisons"]
    varying = [part for part in ("generator", "classifier") if len({row[part] for row in comparisons} - {None}) > 1]
    metrics: dict[str, float | None] = dict(results["totals"])
    for row in comparisons:
        place = "/".join(row[part] for part in ("task", "mode", *varying) if row[part])
        for name in ("macro_f1", "gap"):
            if row[name] is not None:
                metrics[f"{name}/{place}"] = row[name]["mean"]
    return metrics


def _datasets(trial: Trial, job: Job) -> list[Any]:
    """Training and test rows with our own content keys: MLflow's own digest sees only the first 10,000 rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(name, digest, "synthgap", f'{{"key": "{digest}"}}', profile=f'{{"num_rows": {rows}}}'),
            [InputTag("mlflow.data.context", context)],
        )
        for context, (name, digest, rows) in _rows_of(trial, job).items()
    ]


def _rows_of(trial: Trial, job: Job) -> dict[str, tuple[str, str, int]]:
    """Name, content key and number of rows by what they are for; a baseline that trains nothing has a test set alone,
    as its own key names it.
    """
    if not isinstance(job, TrialJob):
        return {"testing": (f"{trial.task} test", content_key([trial.key, "test"]), trial.n_test)}
    train = job.synthesis_key or content_key([job.data_key, None, job.draw, dict(job.label_counts)])
    return {
        "training": (f"{trial.task} {trial.mode}", train, trial.n_train),
        "testing": (f"{trial.task} test", content_key([job.data_key, job.test_rows]), trial.n_test),
    }


def _prediction_files(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Labels by row and their counts as tables that MLflow's artifact viewer shows; test texts stay in the store."""
    labels = sorted({label for pair in pairs for label in pair})
    counts = Counter(pairs)
    matrix: list[list[Any]] = [
        ["true \\ predicted", *labels],
        *[[row, *[counts[row, col] for col in labels]] for row in labels],
    ]
    return {
        "predictions.csv": _csv([("true", "predicted"), *pairs]),
        "confusion.csv": _csv(matrix),
        "confusion.html": _heat(labels, counts),
    }


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _heat(labels: Sequence[str], counts: Mapping[tuple[str, str], int]) -> str:
    """The confusion matrix as an HTML table, shaded by the share of each true label (a picture costs 100 ms more)."""
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


def _log_files(client: Any, run_id: str, files: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        client.log_artifacts(run_id, folder)


def _metrics(values: Mapping[str, float | None]) -> list[Any]:
    """Unknown values (a price, the score of a failed trial) are left out, never logged as zero."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(_name(key), float(value), now, 0) for key, value in values.items() if value is not None]


def _params(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    plain = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return [Param(_name(key), value[:6000]) for key, value in plain.items() if values[key] is not None]


def _tags(values: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(key, value[:8000]) for key, value in values.items()]


def _name(key: str) -> str:
    """Labels are the user's: what MLflow refuses in a name becomes its code point, so that two never collide."""
    plain = re.sub(r"[^/\w.\- :]", _code_point, key)[:250]
    return plain if posixpath.normpath(plain) == plain else re.sub("[/.]", _code_point, plain)


def _code_point(hit: re.Match[str]) -> str:
    return f"U{ord(hit[0]):04X}"
