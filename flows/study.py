"""The study as a Prefect flow: load, synthesize, trial, compare, report. Wiring only.

Syntheses and trainings have separate runners, so that slow trainings never delay LLM calls. A failed cell is recorded
and shown, the other cells go on, and the flow ends as Failed.
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
"""The inputs of the next flow run. They are no parameters of the flow, because Prefect stores parameters in its
database and sends them to every worker of a cluster."""


@dataclass
class _Found:
    """The results of the stages of one run."""

    summaries: list[TaskSummary] = field(default_factory=list)
    syntheses: list[Synthesis] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    ratings: dict[str, tuple[Rating, ...]] = field(default_factory=dict)
    judgements: tuple[Judgement, ...] = ()
    jobs: list[TrialJob] = field(default_factory=list)
    """Jobs of the trained cells."""
    failures: list[Failure] = field(default_factory=list)
    """Failed stages that are no cell of the grid."""

    def lost(self, stage: str, instead: R, error: str) -> R:
        """Note the failure of a stage and return ``instead`` of its outcome."""
        self.failures.append(Failure(stage, error))
        return instead


def run_flow(plan: Plan, data: Sequence[TaskData], folder: Path, settings: Settings) -> State[Results]:
    """Run a planned study in a new Prefect flow run; ``folder`` is the folder of its file."""
    token = _PLANNED.set((plan, data, settings))
    try:
        state: State[Any] = study(plan.study, folder, return_state=True)
        return state
    finally:
        _PLANNED.reset(token)


@flow(name="study", flow_run_name="{config.name}")
def study(config: StudyConfig, folder: Path) -> State[Results]:
    """Run the whole grid of a study. The parameters are only shown to people; the plan was made from them."""
    return _run_planned()  # it is sent to workers of a cluster, so it must not refer to the context variable


def _run_planned() -> State[Results]:
    return run_study(*_PLANNED.get())


def run_study(plan: Plan, data: Sequence[TaskData], settings: Settings) -> State[Results]:
    """Run a planned study in the current flow run.

    The state has the results. It is Failed if any part of the study failed.
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
    """Run all syntheses, questions and trials. Trials on real rows start at once, others when their synthesis is done.

    ``keys`` has the key of each task's real rows.
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
            then = partial(_log_relayed, jobs) if trainers.remote else partial(_drop_weights, jobs, weights)
            future.add_done_callback(then)

        def train(jobs: Iterable[TrialJob], *after: PrefectFuture[Any]) -> None:
            named = {content_key(job): job for job in jobs}
            new = [job for key, job in named.items() if key not in cells]  # syntheses may need the same real rows
            cells.update(named)
            for batch in batches(job for job in new if is_screened(job.classifier)):
                arm, modes = batch[0].arm, ", ".join(dict.fromkeys(job.arm.mode for job in batch))
                title = readable(arm.task, modes, arm.source_label, arm.classifier.label, f"{len(batch)} cells")
                jobs_sent = batch if trainers.remote else stages.unsearched(batch)  # Dask would remove the wrapper
                submit(stages.screen_stage, {"name": title, "jobs": jobs_sent}, batch, *after)
            for job in (job for job in new if not is_screened(job.classifier)):
                # workers of a cluster have another home, which this process cannot read
                place = weights.place(job) if config.log_models and not trainers.remote else None
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
                after = [future, real[task]]  # the stage that embeds the real rows for both
                described.append((trainers.submit(stages.describe_stage, fields, *after), synthesis))
                train(jobs, future)
            else:
                found.syntheses.append(synthesis)
                found.trials += [lost.failed(f"no training rows: {synthesis.error}") for lost in jobs]
        collect_answers(found)
        for _ in as_completed([*real.values(), *(item for item, _ in described), *(item for _, item in trained)]):
            pass  # waits in Python: Ray's own wait suppresses exceptions of signal handlers
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
    """Start the LLMs that answer questions: classifiers, annotators, judges. Returns a function that waits for them."""
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
    """The record of a stage. If the stage or its process failed, ``failed`` makes a record with the reason."""
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
    """Each job of a stage (one or a batch) with its trial."""
    found = _record(future, lambda error: [job.failed(error) for job in jobs])
    return zip(jobs, found if isinstance(found, list) else [found], strict=True)


def _log_relayed(jobs: Sequence[TrialJob], future: PrefectFuture[Any]) -> None:
    """Log the trials of a stage that ran in another process. That process has already sent its log to Prefect."""
    for job, trial in _trials(jobs, future):
        step = Progress("trial", job.cell, 1, 1, trial.outcome, failed=trial.status == "failed")
        announce(step, relayed=True)


def _drop_weights(jobs: Sequence[TrialJob], weights: KeptWeights, future: PrefectFuture[Any]) -> None:
    """Remove weights of arms that are no longer among the best."""
    for _, trial in _trials(jobs, future):
        weights.seen(trial)


def _log_curves(
    run: runs.StudyRun,
    config: StudyConfig,
    found: _Found,
    comparisons: Sequence[Comparison],
    settings: Settings,
) -> list[Trial]:
    """The trials with their runs in MLflow. A failure is recorded, and the study goes on."""
    searched = (found.trials, comparisons, found.syntheses)
    fields = (run, config, *map(stages.unsearched, searched), settings)
    return _record(stages.curves_stage(*fields, return_state=True), partial(found.lost, "log curves", found.trials))


def _log_models(config: StudyConfig, found: _Found, weights: KeptWeights, settings: Settings) -> list[RegisteredModel]:
    """The models of new champions. A failure is recorded, and the study goes on."""
    nothing: list[Logging] = []
    cells = stages.unsearched(found.jobs), stages.unsearched(found.trials)
    choice = stages.choose_models_stage(config, *cells, settings, return_state=True)
    models: list[RegisteredModel] = []
    for chosen in _record(choice, partial(found.lost, "choose models", nothing)):
        logged = stages.log_model_stage(chosen, weights.of(chosen.trial), settings, return_state=True)
        model = _record(logged, partial(found.lost, f"log model · {chosen.job.cell}", None))
        models += [model] if model else []
    return models
