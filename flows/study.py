"""The study as a Prefect flow: load, synthesize, trial, compare, report. Wiring only.

Syntheses and trainings have a bounded runner each, so that slow trainings never hold back LLM calls. A cell that
fails is recorded and shown, the others go on, and the flow ends Failed.
"""

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks import planning, tracking
from tasks.analysis.compare import compare
from tasks.analysis.describe import describe
from tasks.config import Study, StudyConfig, TaskConfig
from tasks.data.load import load, read_data, save_data
from tasks.data.sample import test_sample
from tasks.errors import RunError, UserError
from tasks.progress import Progress, announce
from tasks.records import Comparison, Synthesis, SynthesisJob, TaskData, Trial, TrialJob, content_key
from tasks.reporting import publish
from tasks.reporting.markdown import markdown
from tasks.reporting.results import assemble
from tasks.settings import Settings
from tasks.store import Store
from tasks.synthesis.budget import Ledger, open_ledger
from tasks.synthesis.synthesize import read_rows, synthesize
from tasks.training.trial import label_pairs, run_trial

R = TypeVar("R")


@task(name="load", task_run_name="load · {task_config.name}")
def load_stage(task_config: TaskConfig, pool_share: float, pool_rows: int | None, settings: Settings) -> str:
    """Read a task's real rows into the store; returns their key."""
    return save_data(Store(settings.store_url), load(task_config, settings, pool_share, pool_rows))


@task(name="synthesize", task_run_name="synthesize · {job.name}")
def synthesize_stage(job: SynthesisJob, data_key: str, ledger: Ledger, settings: Settings) -> Synthesis:
    """Generate one data set, or find it in the store."""
    return synthesize(job, read_data(Store(settings.store_url), data_key), settings, ledger)


@task(name="describe", task_run_name="describe · {synthesis.task} · {synthesis.mode}")
def describe_stage(synthesis: Synthesis, data_key: str, settings: Settings) -> Synthesis:
    """Measure how diverse the generated texts are and how close they come to real ones."""
    store = Store(settings.store_url)
    generated = [row.text for row in read_rows(store, synthesis.key)[0]]
    real = [row.text for row in read_data(store, data_key).train]
    diversity, similarity = describe(generated, real, settings)
    return replace(synthesis, diversity=diversity, similarity=similarity)


@task(name="trial", task_run_name="trial · {job.cell}")
def trial_stage(job: TrialJob, run: tracking.StudyRun, trainings: int, settings: Settings) -> Trial | State[Trial]:
    """Train and test one cell, or find it in the store, and log it to MLflow."""
    store = Store(settings.store_url)
    data = read_data(store, job.data_key)
    rows = planning.training_rows(job, data, store)
    trial = run_trial(job, settings, rows, test_sample(data, job.test_rows), trainings=trainings)
    pairs = partial(label_pairs, store, trial.key)
    trial = replace(trial, run_id=tracking.log_trial(settings, *run, trial, job, pairs))
    announce(Progress("trial", job.cell, 1, 1, trial.outcome, failed=trial.status == "failed"))
    return trial if trial.status == "ok" else Failed(message=trial.error, data=trial)


@task(name="compare")
def compare_stage(trials: Sequence[Trial], tolerance: float, settings: Settings) -> tuple[Comparison, ...]:
    """Scores with their intervals and gaps to the real baseline."""
    return compare(trials, Store(settings.store_url), tolerance)


@task(name="report")
def report_stage(results: dict[str, Any], run: tracking.StudyRun, settings: Settings) -> None:
    """results.json and report.html on disk and in MLflow, and a summary as a Prefect artifact."""
    html = publish.report_html(results, settings)
    publish.write(results, html, publish.folder_of(results["study"], settings))
    summary = markdown(results)
    tracking.finish_study(settings, run.run_id, results, html, summary)
    create_markdown_artifact(summary, key=publish.artifact_key(results["study"]), description="What the study found")


def _run_cells(
    plan: planning.Plan, data: dict[str, TaskData], keys: dict[str, str], run: tracking.StudyRun, settings: Settings
) -> tuple[list[Synthesis], list[Trial]]:
    """All syntheses and trials. Real rows are trained on at once, those of a synthesis when it is done."""
    cells: dict[str, tuple[TrialJob, PrefectFuture[Trial]]] = {}
    described: list[tuple[PrefectFuture[Synthesis], Synthesis]] = []
    syntheses: list[Synthesis] = []
    trials: list[Trial] = []
    generators: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=plan.study.syntheses)
    trainers: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=plan.study.trainings)
    with generators as generating, trainers as training:

        def submit(jobs: Iterable[TrialJob], *after: PrefectFuture[Any]) -> None:
            for job in jobs:
                if content_key(job) not in cells:  # two syntheses may ask for the same real baseline
                    fields = {"job": job, "run": run, "trainings": plan.study.trainings, "settings": settings}
                    cells[content_key(job)] = job, training.submit(trial_stage, fields, wait_for=after)

        asked: dict[PrefectFuture[Any], SynthesisJob] = {}
        ledger = open_ledger(settings.home, run.run_id, plan.study.budget_usd, plan.study.budget_tokens)
        for job in plan.synthesis_jobs:
            fields = {"job": job, "data_key": keys[job.task.name], "ledger": ledger, "settings": settings}
            asked[generating.submit(synthesize_stage, fields)] = job
        submit(plan.real_jobs)
        for future in as_completed(list(asked)):
            job, key = asked[future], keys[asked[future].task.name]
            synthesis = _outcome(future, partial(planning.failed_synthesis, job))
            jobs = planning.synthetic_jobs(plan.study, data[job.task.name], key, synthesis)
            if synthesis.status == "ok":
                fields = {"synthesis": synthesis, "data_key": key, "settings": settings}
                described.append((training.submit(describe_stage, fields, wait_for=[future]), synthesis))
                submit(jobs, future)
            else:
                syntheses.append(synthesis)
                trials += [planning.failed_trial(lost, f"no training rows: {synthesis.error}") for lost in jobs]
        trials += [_outcome(future, partial(planning.failed_trial, job)) for job, future in cells.values()]
        syntheses += [_outcome(future, partial(planning.undescribed, bare)) for future, bare in described]
    return planning.by_mode(plan.study, syntheses), trials


def _outcome(future: PrefectFuture[R], failed: Callable[[str], R]) -> R:
    """A stage's record; one that says why where the stage broke off."""
    future.wait()
    result: R | BaseException = future.state.result(raise_on_failure=False)
    if not isinstance(result, BaseException):
        return result
    return failed(str(result) if isinstance(result, UserError | RunError) else f"{type(result).__name__}: {result}")


@flow(name="study", flow_run_name="{config.name}")
def study(config: StudyConfig, folder: Path) -> State[dict[str, Any]]:
    """Run a study's whole grid; the state carries the results object and is Failed when any cell failed."""
    settings = Settings()
    tasks = planning.resolve(Study(config=config, folder=folder))
    pool = config.pool_share, config.pool_rows_per_label
    keys = {item.name: load_stage(item, *pool, settings) for item in tasks}
    data = {name: read_data(Store(settings.store_url), key) for name, key in keys.items()}
    plan = planning.make_plan(config, tuple(data.values()), settings)
    with tracking.study_run(settings, config) as run:
        syntheses, trials = _run_cells(plan, data, keys, run, settings)
        results = assemble(
            config,
            [planning.summarise(config, rows) for rows in data.values()],
            syntheses,
            trials,
            compare_stage(trials, config.tolerance, settings),
            created=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            estimate=plan.as_dict()["totals"],
        )
        report_stage(results, run, settings)
    ended = Completed if results["status"] == "ok" else Failed
    return ended(message=publish.headline(results), data=results)
