"""The study as a Prefect flow: load, synthesize, trial, compare, report. Wiring only.

Syntheses and trainings have a bounded runner each, so that slow trainings never hold back LLM calls. A cell that
fails is recorded and shown, the others go on, and the flow ends Failed.
"""

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows import runners, stages
from flows.interruption import ending_at_once
from flows.observed import run_log, shown_alive, study_progress
from tasks.analysis.subjectivity import paper
from tasks.config import Study, StudyConfig
from tasks.data.load import read_data
from tasks.errors import RunError, UserError, redacted
from tasks.labelling.people import read_judgements
from tasks.llm.ledger import Ledger, study_ledger
from tasks.planning.cost import spent_on_questions
from tasks.planning.grid import by_mode, needs_annotators, summarise, synthetic_jobs
from tasks.planning.make import make_plan
from tasks.planning.names import resolve
from tasks.planning.plan import Plan
from tasks.planning.unmade import failed_synthesis, undescribed
from tasks.progress import Progress, announce
from tasks.records import (
    Judgement,
    Rating,
    Synthesis,
    SynthesisJob,
    TaskData,
    TaskSummary,
    Trial,
    TrialJob,
    content_key,
)
from tasks.reporting import publish
from tasks.reporting.results import assemble
from tasks.settings import Settings
from tasks.store import Store
from tasks.tracking import runs
from tasks.tracking.registry import Cell, Logging

R = TypeVar("R")


@dataclass(frozen=True)
class _Run:
    """What the stages of one run are given."""

    plan: Plan
    data: dict[str, TaskData]
    keys: dict[str, str]
    """Task to the key of its real rows."""
    parent: runs.StudyRun
    ledger: Ledger
    settings: Settings


@dataclass
class _Found:
    """What the stages of one run came to."""

    summaries: list[TaskSummary] = field(default_factory=list)
    syntheses: list[Synthesis] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    ratings: dict[str, tuple[Rating, ...]] = field(default_factory=dict)
    judgements: tuple[Judgement, ...] = ()
    cells: list[Cell] = field(default_factory=list)
    """Trained cells with what was asked for."""
    failures: list[dict[str, str]] = field(default_factory=list)
    """Stages that broke off and are no cell of the grid."""

    def lost(self, stage: str, instead: R, error: str) -> R:
        """``instead`` of a stage's outcome, its failure noted."""
        self.failures.append({"stage": stage, "error": error})
        return instead


class _Trainings:
    """The grid's cells at work; two syntheses may ask for the same real baseline, which is trained once."""

    def __init__(self, run: _Run, trainers: runners.Trainers) -> None:
        self._run, self._trainers = run, trainers
        self._cells: dict[str, tuple[TrialJob, PrefectFuture[Trial]]] = {}

    def submit(self, jobs: Iterable[TrialJob], *after: PrefectFuture[Any]) -> None:
        """Start cells that were not started yet."""
        run = self._run
        for job in jobs:
            if content_key(job) not in self._cells:
                fields = {"run": run.parent, "trainings": self._trainers.at_once, "settings": run.settings}
                future = self._trainers.submit(stages.trial_stage, {"job": job, **fields}, *after)
                self._cells[content_key(job)] = job, future
                if self._trainers.remote:
                    future.add_done_callback(partial(_relay, job))

    def outcomes(self) -> list[Cell]:
        """All jobs and their trials, when they have ended."""
        cells = self._cells.values()
        _wait([future for _, future in cells])
        return [(job, _outcome(future, job.failed)) for job, future in cells]


def _run_cells(run: _Run) -> _Found:
    """All syntheses and trials. Real rows are trained on at once, those of a synthesis when it is done."""
    found, study, settings = _Found(), run.plan.study, run.settings
    generators: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=study.syntheses)
    trainers = runners.trainers(settings, run.parent, next(iter(run.keys.values())), study.trainings)
    with trainers as training, generators as generating, ending_at_once(run.parent, settings):
        asked: dict[PrefectFuture[Any], SynthesisJob] = {
            generating.submit(stages.synthesize_stage, {"job": job, **_asking(run, job.task.name)}): job
            for job in run.plan.synthesis_jobs
        }
        real = {
            name: training.submit(stages.describe_real_stage, {"summary": summarise(study, rows), **fields})
            for name, rows in run.data.items()
            for fields in [{"data_key": run.keys[name], "rows_per_label": study.rows_per_label, "settings": settings}]
        }
        trainings = _Trainings(run, training)
        trainings.submit(run.plan.real_jobs)
        answering = _ask(run, generating)
        described: list[tuple[PrefectFuture[Synthesis], Synthesis]] = []
        for future in as_completed(list(asked)):
            job, key = asked[future], run.keys[asked[future].task.name]
            synthesis = _outcome(future, partial(failed_synthesis, job))
            jobs = synthetic_jobs(study, run.data[job.task.name], key, synthesis)
            if synthesis.status == "ok":
                fields = {"synthesis": synthesis, "data_key": key, "rows_per_label": study.rows_per_label}
                after = [future, real[job.task.name]]  # which embeds the real rows that both are held against
                describing = training.submit(stages.describe_stage, {**fields, "settings": settings}, *after)
                described.append((describing, synthesis))
                trainings.submit(jobs, future)
            else:
                found.syntheses.append(synthesis)
                found.trials += [lost.failed(f"no training rows: {synthesis.error}") for lost in jobs]
        answering(found)
        found.cells = trainings.outcomes()
        found.trials += [trial for _, trial in found.cells]
        _wait([*real.values(), *(future for future, _ in described)])
        found.syntheses += [_outcome(future, partial(undescribed, bare)) for future, bare in described]
        for name, rows in run.data.items():
            bare = summarise(study, rows)
            found.summaries.append(_outcome(real[name], partial(found.lost, f"describe · {name} · real", bare)))
    found.syntheses = by_mode(study, found.syntheses)
    return found


def _asking(run: _Run, task: str) -> dict[str, Any]:
    """What a stage that asks an LLM about one task is given."""
    return {"data_key": run.keys[task], "ledger": run.ledger, "settings": run.settings}


def _ask(run: _Run, runner: ThreadPoolTaskRunner[Any]) -> Callable[[_Found], None]:
    """Start whoever answers questions: baselines, annotators, judges. Returns what waits for their answers."""
    study, shared = run.plan.study, {"ledger": run.ledger, "settings": run.settings}
    baselines = [
        (job, runner.submit(stages.classify_stage, {"job": job, "run": run.parent, **_asking(run, job.task.name)}))
        for job in run.plan.baseline_jobs
    ]
    panels, judging = {}, None
    if study.subjectivity:
        panels = {
            name: runner.submit(
                stages.annotate_stage,
                {"name": name, "config": study.subjectivity, "test_rows": study.test_rows, **_asking(run, name)},
            )
            for name, rows in run.data.items()
            if needs_annotators(study, rows)
        }
        fields = {"data_keys": list(run.keys.values()), "config": study.subjectivity, **shared}
        judging = runner.submit(stages.judge_stage, fields) if study.subjectivity.judges else None

    def collect(found: _Found) -> None:
        found.trials += [_outcome(future, job.failed) for job, future in baselines]
        for name, panel in panels.items():
            found.ratings[name] = _outcome(panel, partial(found.lost, f"annotate · {name}", ()))
        if study.subjectivity and study.subjectivity.judgements:
            found.judgements = read_judgements(Path(study.subjectivity.judgements), list(run.keys))
        if judging:
            found.judgements += _outcome(judging, partial(found.lost, "judge", ()))

    return collect


def _wait(futures: list[PrefectFuture[Any]]) -> None:
    """Return when all have ended; in Python, because Ray's own wait drops what the handler of a signal raises."""
    for _ in as_completed(futures):
        pass


def _outcome(future: PrefectFuture[R], failed: Callable[[str], R]) -> R:
    """A stage's record; one that says why where the stage broke off, or the process that it ran in."""
    result: R | BaseException
    try:
        result = future.result(raise_on_failure=False)
    except Exception as error:
        result = error
    return _record(result, failed)


def _record(result: R | BaseException, failed: Callable[[str], R]) -> R:
    if not isinstance(result, BaseException):
        return result
    known = isinstance(result, UserError | RunError)
    return failed(str(result) if known else redacted(f"{type(result).__name__}: {result}"))


def _relay(job: TrialJob, future: PrefectFuture[Trial]) -> None:
    """Say here what a trial's stage said in another process, whose own log has reached Prefect already."""
    trial = _outcome(future, job.failed)
    step = Progress("trial", job.cell, 1, 1, trial.outcome, failed=trial.status == "failed")
    announce(step, relayed=True)


def _log_models(run: _Run, found: _Found) -> list[dict[str, Any]]:
    """The models of new champions, where the study logs any; a failure is recorded and holds up nothing."""
    study, settings = run.plan.study, run.settings
    if not study.log_models:
        return []
    choice = stages.choose_models_stage(study, found.cells, settings, return_state=True)
    nothing: list[Logging] = []
    models: list[dict[str, Any]] = []
    for chosen in _record(choice.result(raise_on_failure=False), partial(found.lost, "choose models", nothing)):
        state = stages.log_model_stage(chosen, settings, return_state=True)
        logged = state.result(raise_on_failure=False)
        model = _record(logged, partial(found.lost, f"log model · {chosen.job.cell}", None))
        models += [model] if model else []
    return models


@flow(name="study", flow_run_name="{config.name}")
def study(config: StudyConfig, folder: Path) -> State[dict[str, Any]]:
    """Run a study's whole grid; the state carries the results object and is Failed when any part of it failed."""
    settings = Settings()
    tasks = resolve(Study(config=config, folder=folder))
    pool = config.pool_share, config.pool_rows_per_label
    keys = {item.name: stages.load_stage(item, *pool, settings) for item in tasks}
    data = {name: read_data(Store(settings.store_url), key) for name, key in keys.items()}
    plan = make_plan(config, tuple(data.values()), settings)
    with run_log(), shown_alive(), runs.study_run(settings, config) as parent:
        ledger = study_ledger(settings, config, parent.run_id)
        run = _Run(plan, data, keys, parent, ledger, settings)
        with study_progress(plan):
            found = _run_cells(run)
        comparisons = stages.compare_stage(found.trials, config.tolerance, settings)
        challenges = stages.champions_stage(found.trials, settings)
        models = _log_models(run, found)
        subjective = stages.subjectivity_stage(
            found.trials, comparisons, found.syntheses, found.summaries, keys, found.ratings, found.judgements, settings
        )
        results = assemble(
            config,
            found.summaries,
            found.syntheses,
            found.trials,
            comparisons,
            created=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            estimate=plan.as_dict()["totals"],
            subjectivity=subjective.tasks,
            curves=subjective.curves,
            correlations=subjective.correlations,
            findings=subjective.findings,
            paper=paper.beside(comparisons),
            questions=spent_on_questions(plan, list(data.values()), settings),
            failures=found.failures,
            challenges=challenges,
            models=models,
            booked=ledger.booked,
        )
        stages.report_stage(results, parent, settings)
    ended = Completed if results["status"] == "ok" else Failed
    return ended(message=publish.headline(results), data=results)
