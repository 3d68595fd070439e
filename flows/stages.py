"""The stages of a study as Prefect tasks: one for each unit of work that a person would repeat. Wiring only.

Between stages only records and content keys travel; rows are read from the store inside a stage.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed
from prefect.utilities.annotations import quote

from flows.observed import show_link, synthesis_progress
from tasks.analysis.compare import compare
from tasks.analysis.decisions.champion import update_champions
from tasks.analysis.measures.describe import describe_real, describe_synthesis
from tasks.analysis.subjectivity.agreement import rater_agreement
from tasks.config import StudyConfig, SubjectivityConfig
from tasks.data.load import read_data, save_data
from tasks.data.sample import test_sample
from tasks.discovery.memory import mark_retired, noting_retired
from tasks.errors import RunError, UserError
from tasks.generation.synthesize import read_rows, synthesize
from tasks.labelling.judges import judge
from tasks.labelling.panel import annotate
from tasks.labelling.untrained import UntrainedJob, classify
from tasks.llm.ledger import Ledger
from tasks.progress import Progress, announce
from tasks.records import (
    CellJob,
    Challenge,
    Comparison,
    Judgement,
    Rating,
    Synthesis,
    SynthesisJob,
    TaskData,
    TaskSummary,
    Trial,
    TrialJob,
)
from tasks.reporting import publish
from tasks.reporting.markdown import markdown
from tasks.reporting.results import RegisteredModel, Results
from tasks.reporting.section import AnalysisInputs
from tasks.reporting.sections import analysed
from tasks.reporting.table import table
from tasks.settings import Settings
from tasks.store import Store, needed
from tasks.tracking import runs
from tasks.tracking.curves import log_curves
from tasks.tracking.registry import Logging, log_model, worth_logging
from tasks.tracking.trials import log_trial
from tasks.training.classifiers import is_fine_tuned
from tasks.training.rows import training_rows
from tasks.training.screening import Cell, run_trials
from tasks.training.trial import label_pairs, run_trial

R = TypeVar("R")

SAID = 5
"""Most failed cells of a batch that the message of its state lists."""


def unsearched(value: R) -> R:
    """``value`` as an argument that Prefect does not search for futures. For all rows, a search takes seconds."""
    return cast(R, quote(value))


@task(name="load", task_run_name="load · {rows.task.name}", cache_policy=NO_CACHE)  # others would hash all rows
def load_stage(rows: TaskData, settings: Settings) -> str:
    """Put a task's real rows (``unsearched``) into the store; returns their key."""
    return save_data(Store(settings.store_url), rows)


@functools.lru_cache(maxsize=16)
def _real_rows(settings: Settings, key: str) -> TaskData:
    """A task's real rows, cached: each stage needs them, and reading them takes longer than finding a stored trial."""
    return read_data(Store(settings.store_url), key)


@task(name="describe", task_run_name="describe · {summary.name} · real")
def describe_real_stage(summary: TaskSummary, data_key: str, rows_per_label: int, settings: Settings) -> TaskSummary:
    """Measure the diversity of a task's real rows and their similarity to other real rows."""
    data = _real_rows(settings, data_key)
    diversity, similarity = describe_real(data, rows_per_label, settings)
    return replace(summary, diversity=diversity, similarity=similarity)


@task(name="synthesize", task_run_name="synthesize · {job.name}")
def synthesize_stage(job: SynthesisJob, data_key: str, ledger: Ledger, settings: Settings) -> Synthesis:
    """Generate one data set, or find it in the store."""
    store = Store(settings.store_url)
    with noting_retired(store), synthesis_progress(job.name) as report:
        return synthesize(job, _real_rows(settings, data_key), settings, ledger, report=report)


DESCRIBE = "describe · {synthesis.task} · {synthesis.mode} · {synthesis.source.label} · draw {synthesis.draw}"


@task(name="describe", task_run_name=DESCRIBE)
def describe_stage(synthesis: Synthesis, data_key: str, rows_per_label: int, settings: Settings) -> Synthesis:
    """Measure the diversity of generated texts and their similarity to real texts."""
    store = Store(settings.store_url)
    with needed():
        rows = read_rows(store, synthesis.key)[0]
    diversity, similarity = describe_synthesis(rows, _real_rows(settings, data_key), rows_per_label, settings)
    return replace(synthesis, diversity=diversity, similarity=similarity)


@task(name="trial", task_run_name="trial · {job.cell}")
def trial_stage(
    job: TrialJob, run: runs.StudyRun, trainings: int, settings: Settings, weights: Path | None = None
) -> Trial | State[Trial]:
    """Train and test one cell, or find it in the store. A fine-tuned cell gets a run in MLflow.

    A training keeps its model in ``weights``, in a folder with the trial's key.
    """
    store = Store(settings.store_url)
    data = _real_rows(settings, job.data_key)
    rows = training_rows(job, data, store)
    test = test_sample(data, job.test_rows)
    trial = run_trial(job, settings, rows, test, trainings=trainings, weights=weights)
    if is_fine_tuned(job.classifier):
        pairs = partial(label_pairs, store, trial.key)
        trial = replace(trial, run_id=log_trial(settings, run, trial, job, pairs))
        page = runs.run_url(settings, run.experiment_id, str(trial.run_id))
        show_link(page, "its run in MLflow", f"{job.cell}: {trial.outcome}")
    return _ended(trial, job)


@task(name="screen", task_run_name="screen · {name}", cache_policy=NO_CACHE)
def screen_stage(name: str, jobs: Sequence[TrialJob], settings: Settings) -> list[Trial] | State[list[Trial]]:
    """Fit and test a batch of probes of one task, or find them in the store.

    The state has all trials in the order of the jobs. If some failed, its message names them.
    """
    store = Store(settings.store_url)
    data = _real_rows(settings, jobs[0].data_key)
    test = test_sample(data, jobs[0].test_rows)
    cells: list[Cell] = []
    lost: dict[int, Trial] = {}
    for number, job in enumerate(jobs):
        try:
            cells.append(Cell(job, training_rows(job, data, store), test))
        except (RunError, UserError) as error:
            lost[number] = job.failed(str(error))
    screened = run_trials(cells, settings)
    trials = [lost.get(number) or next(screened) for number in range(len(jobs))]
    for job, trial in zip(jobs, trials, strict=True):
        _announce(trial, job)
    failed = [trial for trial in trials if trial.status == "failed"]
    if not failed:
        return trials
    said = "; ".join(f"{trial.cell}: {trial.error}" for trial in failed[:SAID])
    return Failed(message=f"{len(failed)} of {len(trials)} cells failed: {said}", data=trials)


@task(name="classify", task_run_name="classify · {job.cell}")
def classify_stage(job: UntrainedJob, data_key: str, ledger: Ledger, settings: Settings) -> Trial | State[Trial]:
    """Test one cell without training, or find it in the store."""
    store = Store(settings.store_url)
    with noting_retired(store):
        trial = classify(job, _real_rows(settings, data_key), settings, ledger)
    return _ended(trial, job)


def _ended(trial: Trial, job: CellJob) -> Trial | State[Trial]:
    """Log the trial and return it, as a failed state if it failed."""
    _announce(trial, job)
    return trial if trial.status == "ok" else Failed(message=trial.error, data=trial)


def _announce(trial: Trial, job: CellJob) -> None:
    announce(Progress("trial", job.cell, 1, 1, trial.outcome, failed=trial.status == "failed"))


@task(name="annotate", task_run_name="annotate · {name}")
def annotate_stage(
    name: str, data_key: str, config: SubjectivityConfig, test_rows: int | None, ledger: Ledger, settings: Settings
) -> tuple[Rating, ...]:
    """Have the panel of annotators label a task's test rows, or find its votes in the store."""
    store = Store(settings.store_url)
    with noting_retired(store):
        return annotate(_real_rows(settings, data_key), config, test_rows, settings, ledger)


@task(name="judge", task_run_name="judge")
def judge_stage(
    data_keys: Sequence[str], config: SubjectivityConfig, ledger: Ledger, settings: Settings
) -> tuple[Judgement, ...]:
    """Have judges compare the tasks, or find their judgements in the store."""
    store = Store(settings.store_url)
    with noting_retired(store):
        return judge([_real_rows(settings, key) for key in data_keys], config, settings, ledger)


@task(name="compare", task_run_name="compare")
def compare_stage(trials: Sequence[Trial], tolerance: float, settings: Settings) -> tuple[Comparison, ...]:
    """Scores with their intervals and gaps to matched real rows."""
    return compare(trials, Store(settings.store_url), tolerance)


@task(name="champions", task_run_name="champions")
def champions_stage(trials: Sequence[Trial], settings: Settings) -> tuple[Challenge, ...]:
    """Compare each LLM with the best one so far, for its task and mode and for all modes."""
    store = Store(settings.store_url)
    return mark_retired(update_champions(trials, store), store)


@task(name="log curves", task_run_name="log curves", cache_policy=NO_CACHE)  # any other policy would hash all trials
def curves_stage(
    run: runs.StudyRun,
    config: StudyConfig,
    trials: Sequence[Trial],
    comparisons: Sequence[Comparison],
    syntheses: Sequence[Synthesis],
    settings: Settings,
) -> list[Trial]:
    """Log a run for each curve to MLflow; returns the trials with their runs."""
    store = Store(settings.store_url)
    return log_curves(
        settings, run, config, trials, comparisons, syntheses, lambda trial: label_pairs(store, trial.key)
    )


@task(name="choose models", task_run_name="choose models", cache_policy=NO_CACHE)
def choose_models_stage(
    config: StudyConfig, jobs: Sequence[TrialJob], trials: Sequence[Trial], settings: Settings
) -> list[Logging]:
    """The models to log: those of champions that are better than the one in MLflow's registry."""
    return worth_logging(config, jobs, trials, settings)


@task(name="log model", task_run_name="log model · {chosen.job.cell}")
def log_model_stage(chosen: Logging, kept: Path | None, settings: Settings) -> RegisteredModel:
    """Log and register a champion's model: the one that its trial kept, or a model that is trained once more."""
    return log_model(chosen, settings, kept)


@task(name="analyse", task_run_name="analyse")
def analyse_stage(
    results: Results,
    data_keys: Mapping[str, str],
    ratings: Mapping[str, tuple[Rating, ...]],
    judgements: Sequence[Judgement],
    settings: Settings,
) -> Results:
    """The results with the parts that sections of the report compute."""
    agreement = {name: rater_agreement(_real_rows(settings, key).test) for name, key in data_keys.items()}
    return analysed(results, AnalysisInputs(Store(settings.store_url), agreement, ratings, judgements))


@task(name="report", task_run_name="report")
def report_stage(results: Results, run: runs.StudyRun, settings: Settings) -> None:
    """Write results.json and report.html to disk and to MLflow, and create Prefect artifacts with links to them."""
    html = publish.report_html(results, settings)
    publish.write(results, html, publish.folder_of(results.study, settings))
    summary, key = markdown(results), publish.artifact_key(results.study)
    runs.finish_study(settings, run.run_id, results, html, summary)
    pages = runs.study_urls(settings, run)
    links = [f"[{name}]({page})" for name, page in pages.items()]
    elsewhere = f"\nIn MLflow: {' · '.join(links)}\n" if links else ""
    create_markdown_artifact(summary + elsewhere, key, "What the study found")
    create_table_artifact(
        table(results), f"{key}-comparisons", "Macro-F1 scores, and gaps to real rows in points of macro-F1"
    )
    for name, page in pages.items():
        create_link_artifact(page, name, publish.artifact_key(f"{results.study}-{name}"), f"{name}, in MLflow")
