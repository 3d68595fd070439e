"""MLflow's run of a study: each study is an experiment, and each run of the study is a run in it.

Below this run are a new run for each curve (``curves``) and a run for each fine-tuned trial (``trials``). All calls use
a client with explicit run ids, because MLflow's active run is thread-local and trials end on many threads.

Only this package imports mlflow. If a server stops answering in the middle of a study, calls wait for it (``outage``).
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from tasks import databases
from tasks.config import StudyConfig
from tasks.errors import RunError, without_password
from tasks.reporting.results import Results, to_json
from tasks.settings import Settings
from tasks.tracking.connection import check_alive, check_database, clear_errors, connect, database_of
from tasks.tracking.contents import LONGEST_TAG, as_metrics, as_params, as_tags, study_metrics, study_tags
from tasks.tracking.tags import ERROR, PROCESS, STUDY, is_dead, own_tags, process
from tasks.tracking.views import BEST, CURVES, common_views
from tasks.waiting import FIRST, held

NOTE = (
    "Each run of this study has a run here, with a run for each curve below it. The step of a metric is the number of "
    "rows. `gap` is macro-F1 minus that of as many real rows."
)
"""Note of the experiment. MLflow shows only one line of it above the table."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": NOTE}
"""Marks the experiment as one of model training, with its note in the list of experiments."""
VIEW = "workflowType=machine_learning"
"""Opens a page in the UI's "Model training" view. A link without it opens in the view that the browser used last."""

_begun: set[str] = set()
"""Runs of studies that this process started."""


class StudyRun(NamedTuple):
    """The experiment and run that a running study logs to."""

    experiment_id: str
    run_id: str


@contextlib.contextmanager
def study_run(settings: Settings, config: StudyConfig) -> Iterator[StudyRun]:
    """A new parent run in the study's experiment. If the block raises, the run ends as failed.

    Raises ``RunError`` if MLflow cannot be reached.
    """
    experiment_id = prepare(settings, config.name)
    run = StudyRun(experiment_id, start_study(settings, experiment_id, config))
    try:
        yield run
    except BaseException as error:
        with contextlib.suppress(RunError):  # if MLflow itself failed, the next start of the study ends the run
            fail_study(settings, run.run_id, str(error))
        raise


def prepare(settings: Settings, study: str, first: float = FIRST) -> str:
    """The id of the study's experiment. The database is migrated and the experiment created if needed.

    If another run does so at the same time, this one waits, and logs that after ``first`` seconds. Raises ``RunError``
    if the tracking server does not answer or the database cannot be used.
    """
    uri = settings.mlflow_uri
    if uri.startswith(("http://", "https://")):
        check_alive(uri)
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / "mlflow.lock")
    with clear_errors(uri), held(lock, "MLflow's database, which another run is preparing", first):
        if database_of(uri) not in (None, "sqlite"):
            check_database(uri)
        elif uri.startswith("sqlite:///"):
            databases.begin("mlflow", Path(uri.removeprefix("sqlite:///")))
        client = connect(uri)
        found = client.get_experiment_by_name(study)
        if found and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        tags = {**EXPERIMENT_TAGS, **common_views()}
        if not found:
            # a server has a folder for files; without one, a database would use ./mlruns
            files = f"{settings.artifacts_uri}/{study}" if database_of(uri) else None
            return str(client.create_experiment(study, files, tags=tags))
        for name, value in tags.items():
            if name not in found.tags:  # a tag that somebody changed stays
                client.set_experiment_tag(found.experiment_id, name, value)
        return str(found.experiment_id)


def check_run(settings: Settings, run: StudyRun) -> None:
    """Raise ``RunError`` if this process cannot read a run that another process started."""
    with clear_errors(settings.mlflow_uri):
        connect(settings.mlflow_uri).get_run(run.run_id)


def start_study(settings: Settings, experiment_id: str, config: StudyConfig) -> str:
    """The id of a new parent run with the config as parameters. Open runs of dead processes of this host are ended."""
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        _sweep(client, experiment_id)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        tags = {**own_tags("study"), STUDY: config.name}
        run_id: str = client.create_run(experiment_id, tags=tags, run_name=f"{config.name} {started}").info.run_id
        client.log_batch(run_id, params=as_params(config.model_dump(mode="json")))
        client.log_dict(run_id, config.model_dump(mode="json"), "study.yaml")
        _begun.add(run_id)
        return run_id


def begun_here(run: StudyRun) -> bool:
    """Whether this process started the run and therefore knows all runs below it."""
    return run.run_id in _begun


def finish_study(settings: Settings, run_id: str, results: Results, report_html: str, note: str = "") -> None:
    """Log the results on the parent run: totals, scores and gaps as metrics, results.json and report.html as files.

    ``note`` is Markdown, shown as the run's description.
    """
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        tags = {**study_tags(results), **({"mlflow.note.content": note} if note else {})}
        client.log_batch(run_id, metrics=as_metrics(study_metrics(results)), tags=as_tags(tags))
        client.log_text(run_id, to_json(results), "results.json")
        client.log_text(run_id, report_html, "report.html")
        _end_twins(client, run_id)
        client.set_terminated(run_id, "FINISHED" if results.status == "ok" else "FAILED")


def fail_study(settings: Settings, run_id: str, error: str) -> None:
    """End the parent run of a study that failed before it had results."""
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        client.set_tag(run_id, ERROR, error[:LONGEST_TAG])
        _end_twins(client, run_id)
        client.set_terminated(run_id, "FAILED")


def run_url(settings: Settings, experiment_id: str, run_id: str) -> str | None:
    """Address of a run in the UI; null if the tracking URI is a database."""
    return _page(settings, f"experiments/{experiment_id}/runs/{run_id}?{VIEW}")


def study_urls(settings: Settings, run: StudyRun) -> dict[str, str]:
    """Pages to look at after a run: their names and addresses in the UI; empty if the tracking URI is a database."""
    runs = f"experiments/{run.experiment_id}/runs"
    places = {
        "Which LLM and mode is best": f"{runs}?{VIEW}&viewStateShareKey={BEST}",
        "Curves of all runs": f"{runs}?{VIEW}&viewStateShareKey={CURVES}",
        "Report": f"{runs}/{run.run_id}/artifacts/report.html?{VIEW}",
    }
    pages = {name: _page(settings, place) for name, place in places.items()}
    return {name: page for name, page in pages.items() if page}


def _page(settings: Settings, place: str) -> str | None:
    uri = without_password(settings.mlflow_uri.rstrip("/"))
    return f"{uri}/#/{place}" if uri.startswith("http") else None


def found_runs(client: Any, experiment_id: str, where: str) -> Iterator[Any]:
    """The runs of an experiment that match a filter of MLflow."""
    token = None
    while True:
        page = client.search_runs([experiment_id], where, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _sweep(client: Any, experiment_id: str) -> None:
    """End the runs that a process of this host left running when it was killed (kill -9, power, out of memory)."""
    for run in found_runs(client, experiment_id, "attributes.status = 'RUNNING'"):
        owner = run.data.tags.get(PROCESS, "")
        if is_dead(owner):
            client.set_tag(run.info.run_id, ERROR, f"its process {owner} ended without an error message")
            client.set_terminated(run.info.run_id, "KILLED")


def _end_twins(client: Any, run_id: str) -> None:
    """End other open runs of this process: a call that created one may be repeated if its answer was lost."""
    experiment_id = client.get_run(run_id).info.experiment_id
    for run in found_runs(client, experiment_id, f"attributes.status = 'RUNNING' AND tags.`{PROCESS}` = '{process()}'"):
        if run.info.run_id != run_id:
            client.set_tag(run.info.run_id, ERROR, "created twice, because the first answer was lost")
            client.set_terminated(run.info.run_id, "KILLED")
