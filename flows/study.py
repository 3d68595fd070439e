"""The study as a Prefect flow: load, synthesize, trial, compare, report. Wiring only.

Syntheses and trainings have a bounded runner each, so that slow trainings never hold back LLM calls. A cell that
fails is recorded and shown, the others go on, and the flow ends Failed.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import Task, flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows import runners, stages
from flows.interruption import ending_at_once
from flows.observed import run_log, shown_alive, study_progress
from tasks.config import StudyConfig
from tasks.errors import RunError, UserError, redacted
from tasks.labelling.people import read_judgements
from tasks.llm.ledger import Ledger, study_ledger
from tasks.planning.cost import spent_on_questions
from tasks.planning.grid import by_mode, needs_annotators, summarise, synthetic_jobs
from tasks.planning.plan import Plan
from tasks.planning.unmade import failed_synthesis, undescribed
from tasks.progress import Progress, announce
from tasks.records import (
    Comparison,
    Judgement,
    Rating,
    Synthesis,
    TaskData,
    TaskSummary,
    Trial,
    TrialJob,
    content_key,
    readable,
)
from tasks.reporting import publish
from tasks.reporting.results import Failure, RegisteredModel, Results, total
from tasks.reporting.unchanged import inputs_key, keep_inputs
from tasks.settings import Settings
from tasks.tracking import runs
from tasks.tracking.registry import Logging
from tasks.training.screening import batches, is_screened
from tasks.training.weights import KeptWeights

R = TypeVar("R")

_PLANNED: ContextVar[tuple[Plan, Sequence[TaskData], Settings]] = ContextVar("planned")
"""What the flow run that begins is handed. Parameters it cannot be: Prefect keeps those in its database, and sends them
to every worker of a cluster."""


@dataclass
class _Found:
    """What the stages of one run came to."""

    summaries: list[TaskSummary] = field(default_factory=list)
    syntheses: list[Synthesis] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    ratings: dict[str, tuple[Rating, ...]] = field(default_factory=dict)
    judgements: tuple[Judgement, ...] = ()
    jobs: list[TrialJob] = field(default_factory=list)
    """What was asked for of the trained cells."""
    failures: list[Failure] = field(default_factory=list)
    """Stages that broke off and are no cell of the grid."""

    def lost(self, stage: str, instead: R, error: str) -> R:
        """``instead`` of a stage's outcome, its failure noted."""
        self.failures.append(Failure(stage, error))
        return instead


def run_flow(plan: Plan, data: Sequence[TaskData], folder: Path, settings: Settings) -> State[Results]:
    """Run a planned study in a Prefect flow run of its own; ``folder`` is that of its file."""
    handed = _PLANNED.set((plan, data, settings))
    try:
        state: State[Any] = study(plan.study, folder, return_state=True)
        return state
    finally:
        _PLANNED.reset(handed)


@flow(name="study", flow_run_name="{config.name}")
def study(config: StudyConfig, folder: Path) -> State[Results]:
    """Run a study's whole grid. The parameters are for people to see; what is run was planned from them."""
    return _run_planned()  # a worker of a cluster is sent this function, which therefore names no context variable


def _run_planned() -> State[Results]:
    return run_study(*_PLANNED.get())


def run_study(plan: Plan, data: Sequence[TaskData], settings: Settings) -> State[Results]:
    """Run a planned study in the flow run that this is called in.

    The state carries the results and is Failed when any part of it failed.
    """
    config = plan.study
    keys = {rows.task.name: stages.load_stage(stages.unsearched(rows), settings) for rows in data}
    with run_log(), shown_alive(), runs.study_run(settings, config) as parent:
        ledger = study_ledger(settings, config, parent.run_id)
        weights = KeptWeights(config, settings)
        with study_progress(plan):
            found = _run_grid(plan, data, keys, parent, ledger, weights, settings)
        comparisons = stages.compare_stage(found.trials, config.tolerance, settings)
        found.trials = _log_curves(parent, config, found, comparisons, settings)
        challenges = stages.champions_stage(found.trials, settings)
        inputs = inputs_key(config, data, {item.key for item in found.syntheses}, found.trials, settings)
        models = _log_models(config, found, weights, settings) if config.log_models else []
        weights.discard()
        questions = spent_on_questions(plan, data, settings)
        results = Results(
            created=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            config=config,
            tasks=found.summaries,
            cells=found.trials,
            syntheses=found.syntheses,
            comparisons=comparisons,
            challenges=challenges,
            models=models,
            failures=found.failures,
            totals=total(found.syntheses, found.trials, questions, ledger.booked),
            estimate=plan.totals,
        )
        results = stages.analyse_stage(results, keys, found.ratings, found.judgements, settings)
        stages.report_stage(results, parent, settings)
        keep_inputs(inputs, config.name, settings)
    ended = Completed if results.status == "ok" else Failed
    return ended(message=publish.headline(results), data=results)


def _run_grid(
    plan: Plan,
    data: Sequence[TaskData],
    keys: Mapping[str, str],
    parent: runs.StudyRun,
    ledger: Ledger,
    weights: KeptWeights,
    settings: Settings,
) -> _Found:
    """All syntheses, questions and trials. Real rows are trained on at once, those of a synthesis when it is done.

    ``keys`` has each task's key of its real rows.
    """
    found, config = _Found(), plan.study
    of_task = {rows.task.name: rows for rows in data}
    measured_at = {"rows_per_label": config.rows_per_label, "settings": settings}
    cells: dict[str, TrialJob] = {}
    trained: list[tuple[Sequence[TrialJob], PrefectFuture[Any]]] = []
    asking: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=config.syntheses)
    training = runners.trainers(settings, parent, next(iter(keys.values())), config.trainings)
    with training as trainers, asking as askers, ending_at_once(parent, settings):

        def ask(stage: Task[..., R], **fields: Any) -> PrefectFuture[R]:
            return askers.submit(stage, {**fields, "ledger": ledger, "settings": settings})

        def submit(stage: Task[..., Any], fields: dict[str, Any], jobs: Sequence[TrialJob], *after: Any) -> None:
            future = trainers.submit(stage, {**fields, "settings": settings}, *after)
            trained.append((jobs, future))
            then = partial(_relay, jobs) if trainers.remote else partial(_weigh, jobs, weights)
            future.add_done_callback(then)

        def train(jobs: Iterable[TrialJob], *after: PrefectFuture[Any]) -> None:
            named = {content_key(job): job for job in jobs}
            new = [job for key, job in named.items() if key not in cells]  # syntheses may ask for the same real rows
            cells.update(named)
            for batch in batches(job for job in new if is_screened(job.classifier)):
                arm, modes = batch[0].arm, ", ".join(dict.fromkeys(job.arm.mode for job in batch))
                title = readable(arm.task, modes, arm.source_label, arm.classifier.label, f"{len(batch)} cells")
                jobs_sent = batch if trainers.remote else stages.unsearched(batch)  # Dask takes the wrapper apart
                submit(stages.screen_stage, {"name": title, "jobs": jobs_sent}, batch, *after)
            for job in (job for job in new if not is_screened(job.classifier)):
                place = weights.place(job) if config.log_models and not trainers.remote else None  # another home there
                fields = {"job": job, "run": parent, "trainings": trainers.at_once, "weights": place}
                submit(stages.trial_stage, fields, [job], *after)

        syntheses = {
            ask(stages.synthesize_stage, job=job, data_key=keys[job.task.name]): job for job in plan.synthesis_jobs
        }
        real = {}
        for name, rows in of_task.items():
            fields = {"summary": summarise(config, rows), "data_key": keys[name], **measured_at}
            real[name] = trainers.submit(stages.describe_real_stage, fields)
        train(plan.real_jobs)
        collect_answers = _ask_questions(plan, of_task, keys, ask)
        described: list[tuple[PrefectFuture[Synthesis], Synthesis]] = []
        for future in as_completed(list(syntheses)):
            job, task = syntheses[future], syntheses[future].task.name
            synthesis = _record(future, partial(failed_synthesis, job))
            jobs = synthetic_jobs(config, of_task[task], keys[task], synthesis)
            if synthesis.status == "ok":
                fields = {"synthesis": synthesis, "data_key": keys[task], **measured_at}
                after = [future, real[task]]  # which embeds the real rows that both are held against
                described.append((trainers.submit(stages.describe_stage, fields, *after), synthesis))
                train(jobs, future)
            else:
                found.syntheses.append(synthesis)
                found.trials += [lost.failed(f"no training rows: {synthesis.error}") for lost in jobs]
        collect_answers(found)
        for _ in as_completed([*real.values(), *(item for item, _ in described), *(item for _, item in trained)]):
            pass  # waits in Python, because Ray's own wait drops what the handler of a signal raises
        ended = {content_key(job): trial for jobs, future in trained for job, trial in _trials(jobs, future)}
        found.jobs = list(cells.values())
        found.trials += [ended[key] for key in cells]
        found.syntheses += [_record(future, partial(undescribed, bare)) for future, bare in described]
        for name, rows in of_task.items():
            bare = summarise(config, rows)
            found.summaries.append(_record(real[name], partial(found.lost, f"describe · {name} · real", bare)))
    found.syntheses = by_mode(config, found.syntheses)
    return found


def _ask_questions(
    plan: Plan,
    of_task: Mapping[str, TaskData],
    keys: Mapping[str, str],
    ask: Callable[..., PrefectFuture[Any]],
) -> Callable[[_Found], None]:
    """Start the LLMs that answer questions: classifiers, annotators, judges. Returns what waits for their answers."""
    config, asked = plan.study, plan.study.subjectivity
    classifying = [
        (job, ask(stages.classify_stage, job=job, data_key=keys[job.task.name])) for job in plan.untrained_jobs
    ]
    panels = {
        name: ask(stages.annotate_stage, name=name, config=asked, test_rows=config.test_rows, data_key=keys[name])
        for name, rows in of_task.items()
        if needs_annotators(config, rows)
    }
    judging = None
    if asked and asked.judges:
        judging = ask(stages.judge_stage, data_keys=list(keys.values()), config=asked)

    def collect(found: _Found) -> None:
        found.trials += [_record(future, job.failed) for job, future in classifying]
        for name, panel in panels.items():
            found.ratings[name] = _record(panel, partial(found.lost, f"annotate · {name}", ()))
        if asked and asked.judgements:
            found.judgements = read_judgements(Path(asked.judgements), list(keys))
        if judging:
            found.judgements += _record(judging, partial(found.lost, "judge", ()))

    return collect


def _record(ended: PrefectFuture[R] | State[R], failed: Callable[[str], R]) -> R:
    """A stage's record; one that says why where the stage broke off, or the process that it ran in."""
    result: R | BaseException
    try:
        result = ended.result(raise_on_failure=False)
    except Exception as error:
        result = error
    if not isinstance(result, BaseException):
        return result
    known = isinstance(result, UserError | RunError)
    return failed(str(result) if known else redacted(f"{type(result).__name__}: {result}"))


def _trials(jobs: Sequence[TrialJob], future: PrefectFuture[Any]) -> Iterable[tuple[TrialJob, Trial]]:
    """Each job of a stage, which has one or a batch of them, with its trial."""
    found = _record(future, lambda error: [job.failed(error) for job in jobs])
    return zip(jobs, found if isinstance(found, list) else [found], strict=True)


def _relay(jobs: Sequence[TrialJob], future: PrefectFuture[Any]) -> None:
    """Say here what a stage of trials said in another process, whose own log has reached Prefect already."""
    for job, trial in _trials(jobs, future):
        step = Progress("trial", job.cell, 1, 1, trial.outcome, failed=trial.status == "failed")
        announce(step, relayed=True)


def _weigh(jobs: Sequence[TrialJob], weights: KeptWeights, future: PrefectFuture[Any]) -> None:
    """Drop weights that the scores of trials rule out."""
    for _, trial in _trials(jobs, future):
        weights.seen(trial)


def _log_curves(
    run: runs.StudyRun,
    config: StudyConfig,
    found: _Found,
    comparisons: Sequence[Comparison],
    settings: Settings,
) -> list[Trial]:
    """The trials with the runs in MLflow that show them; a failure is recorded and holds up nothing."""
    searched = (found.trials, comparisons, found.syntheses)
    fields = (run, config, *map(stages.unsearched, searched), settings)
    return _record(stages.curves_stage(*fields, return_state=True), partial(found.lost, "log curves", found.trials))


def _log_models(config: StudyConfig, found: _Found, weights: KeptWeights, settings: Settings) -> list[RegisteredModel]:
    """The models of new champions; a failure is recorded and holds up nothing."""
    nothing: list[Logging] = []
    cells = stages.unsearched(found.jobs), stages.unsearched(found.trials)
    choice = stages.choose_models_stage(config, *cells, settings, return_state=True)
    models: list[RegisteredModel] = []
    for chosen in _record(choice, partial(found.lost, "choose models", nothing)):
        logged = stages.log_model_stage(chosen, weights.of(chosen.trial), settings, return_state=True)
        model = _record(logged, partial(found.lost, f"log model · {chosen.job.cell}", None))
        models += [model] if model else []
    return models
