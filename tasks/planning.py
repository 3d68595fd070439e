"""A study's grid: which syntheses and trials it is made of, what they would cost, and what the store already holds.

Nothing here spends anything or needs a network: a plan is made from the config, the real rows and the store.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tasks.annotation.baselines import check_baselines
from tasks.config import Study, StudyConfig, TaskConfig
from tasks.data import catalog
from tasks.data.load import load
from tasks.data.sample import natural_rows, test_sample
from tasks.errors import UserError
from tasks.records import Example, Status, Synthesis, SynthesisJob, TaskData, Trial, TrialJob, Yield, count_labels
from tasks.settings import Settings
from tasks.store import Store
from tasks.synthesis.estimate import Estimate, estimate
from tasks.synthesis.filters import filter_names, find_filters
from tasks.synthesis.modes import find_mode
from tasks.synthesis.synthesize import read_rows, stored_synthesis
from tasks.training.classifiers import check_classifier
from tasks.training.estimate import seconds_to_train
from tasks.training.trial import KIND as TRIALS
from tasks.training.trial import trial_key

BASELINE = "real"
REFERENCE = "real_full"


@dataclass(frozen=True)
class PlannedSynthesis:
    """One synthesis with its price tag."""

    job: SynthesisJob
    stored: bool
    estimate: Estimate


@dataclass(frozen=True)
class PlannedTrial:
    """One cell. ``stored`` is false where its training rows are not generated yet."""

    job: TrialJob
    stored: bool


@dataclass(frozen=True)
class Plan:
    """What a run of the study would do."""

    study: StudyConfig
    syntheses: tuple[PlannedSynthesis, ...]
    trials: tuple[PlannedTrial, ...]
    training_seconds: float | None
    """What the missing trials take one after the other; null when a classifier's speed is unknown."""

    @property
    def synthesis_jobs(self) -> tuple[SynthesisJob, ...]:
        """All syntheses of the study."""
        return tuple(planned.job for planned in self.syntheses)

    @property
    def real_jobs(self) -> tuple[TrialJob, ...]:
        """The trials that need no synthesis."""
        return tuple(planned.job for planned in self.trials if planned.job.generator is None)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain JSON; dollars are null when a price is unknown, minutes when no speed is known yet."""
        missing = [planned.estimate for planned in self.syntheses if not planned.stored]
        return {
            "study": self.study.name,
            "cells": [_cell(planned) for planned in self.trials],
            "syntheses": [_synthesis(planned) for planned in self.syntheses],
            "trials": {"total": len(self.trials), "stored": sum(planned.stored for planned in self.trials)},
            "totals": {
                "calls": sum(item.calls for item in missing),
                "tokens_in": sum(item.tokens_in for item in missing),
                "tokens_out": sum(item.tokens_out for item in missing),
                "cost_usd": _total([item.cost_usd for item in missing]),
                "minutes": self._minutes(missing),
            },
        }

    def _minutes(self, missing: list[Estimate]) -> float | None:
        """As if nothing ran beside anything else: on one machine all of it shares the same cores."""
        seconds = _total([self.training_seconds, *(item.seconds for item in missing)])
        return None if seconds is None else round(seconds / 60, 1)


def resolve(study: Study) -> tuple[TaskConfig, ...]:
    """The study's tasks, with every name in it checked against its table. Raises ``UserError``."""
    for mode in study.config.modes:
        find_mode(mode)
    filters = find_filters(study.config.filters)
    for classifier in study.config.classifiers:
        check_classifier(classifier)
    check_baselines(study.config)
    tasks = tuple(catalog.find_task(reference, study.folder) for reference in study.config.tasks)
    for item in filters:
        for task in tasks:
            item.check_task(task)
    names = [task.name for task in tasks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"two tasks of the study are called {repeated[0]!r}; rename yours in its YAML")
    return tasks


def plan_study(study: Study, settings: Settings) -> Plan:
    """The plan of a study, its real rows loaded and checked. Raises ``UserError`` for whatever cannot be run."""
    config = study.config
    data = [load(task, settings, config.pool_share) for task in resolve(study)]
    return make_plan(config, data, settings)


def make_plan(config: StudyConfig, data: Sequence[TaskData], settings: Settings) -> Plan:
    """The grid over loaded tasks, each part looked up in the store."""
    store = Store(settings.store_url)
    syntheses: list[PlannedSynthesis] = []
    trials: list[PlannedTrial] = []
    for rows in data:
        key = rows.key
        jobs = list(real_jobs(config, rows, key))
        for job in synthesis_jobs(config, rows.task):
            done = stored_synthesis(job, rows, settings)
            syntheses.append(PlannedSynthesis(job, done is not None, estimate(job, rows, settings)))
            jobs += synthetic_jobs(config, rows.task, key, done or expected_synthesis(job))
        trials += [PlannedTrial(job, _is_stored(job, rows, store)) for job in jobs]
    missing = [planned.job for planned in trials if not planned.stored]
    seconds = seconds_to_train(missing, config.test_rows or max(len(rows.test) for rows in data), store)
    return Plan(config, tuple(syntheses), tuple(trials), seconds)


def _is_stored(job: TrialJob, data: TaskData, store: Store) -> bool:
    if job.generator and not job.synthesis_key:
        return False
    rows = training_rows(job, data, store)  # raises where the task has too few real rows
    return store.get(TRIALS, trial_key(job, rows, test_sample(data, job.test_rows))) is not None


def draws(config: StudyConfig) -> tuple[int, ...]:
    """Seeds of the choice of training rows: one for the whole study, or one for every seed."""
    return (0,) if config.synthesis_per == "study" else config.seeds


def draw_of(config: StudyConfig, seed: int) -> int:
    """The draw that a seed's trials train on."""
    return 0 if config.synthesis_per == "study" else seed


def synthesis_jobs(config: StudyConfig, task: TaskConfig) -> Iterator[SynthesisJob]:
    """All syntheses of one task, over modes, generators and draws."""
    filters = filter_names(config.filters)
    for mode in config.modes:
        if not find_mode(mode).needs_generator:
            continue
        for generator in config.generators:
            for draw in draws(config):
                yield SynthesisJob(task, mode, generator, draw, config.rows_per_label, config.extra_texts, filters)


def real_jobs(config: StudyConfig, data: TaskData, data_key: str) -> Iterator[TrialJob]:
    """Trials whose training rows are real: the matched baseline and the full reference."""
    for mode in config.modes:
        if not find_mode(mode).needs_generator:
            counts = dict.fromkeys(data.task.labels, config.rows_per_label)
            yield from _jobs(config, data.task, data_key, mode, counts)
    if BASELINE in config.modes and config.reference_rows != 0:
        rows = natural_rows(data, config.reference_rows, 0)
        yield from _jobs(config, data.task, data_key, REFERENCE, count_labels(rows, data.task.labels))


def synthetic_jobs(config: StudyConfig, task: TaskConfig, data_key: str, synthesis: Synthesis) -> Iterator[TrialJob]:
    """Trials of one synthesis and, where it fell short of rows, of a real baseline that is as small as it is."""
    counts = synthesis.label_counts
    yield from _jobs(config, task, data_key, synthesis.mode, counts, synthesis=synthesis)
    asked = dict.fromkeys(task.labels, config.rows_per_label)
    if BASELINE in config.modes and dict(counts) != asked and all(counts.values()):
        yield from _jobs(config, task, data_key, BASELINE, counts, draw=synthesis.draw)


def _jobs(
    config: StudyConfig,
    task: TaskConfig,
    data_key: str,
    mode: str,
    counts: Mapping[str, int],
    synthesis: Synthesis | None = None,
    draw: int | None = None,
) -> Iterator[TrialJob]:
    wanted = synthesis.draw if synthesis else draw
    for classifier in config.classifiers:
        for seed in config.seeds:
            if wanted in (None, draw_of(config, seed)):
                yield TrialJob(
                    task=task,
                    mode=mode,
                    generator=synthesis.generator if synthesis else None,
                    classifier=classifier,
                    seed=seed,
                    data_key=data_key,
                    synthesis_key=synthesis.key if synthesis else None,
                    draw=draw_of(config, seed),
                    label_counts=counts,
                    test_rows=config.test_rows,
                )


def training_rows(job: TrialJob, data: TaskData, store: Store) -> tuple[Example, ...]:
    """The rows that a trial trains on, chosen by its mode from the real rows and those of its synthesis."""
    kept = read_rows(store, job.synthesis_key)[0] if job.synthesis_key else ()
    synthetic = tuple(Example(row.text, row.label) for row in kept)
    return find_mode(job.mode).select(data, synthetic, job.label_counts, job.draw)


def expected_synthesis(job: SynthesisJob) -> Synthesis:
    """What a synthesis that is still to be made would be, if nothing falls short."""
    return _unmade_synthesis(job, "ok", None)


def failed_synthesis(job: SynthesisJob, error: str) -> Synthesis:
    """The record of a synthesis that could not be made."""
    return _unmade_synthesis(job, "failed", error)


def undescribed(synthesis: Synthesis, error: str) -> Synthesis:
    """A synthesis whose texts could not be measured: its rows are as good as ever, the reason is shown."""
    return replace(synthesis, error=f"diversity and similarity could not be measured: {error}")


def _unmade_synthesis(job: SynthesisJob, status: Status, error: str | None) -> Synthesis:
    return Synthesis(
        key="",
        task=job.task.name,
        mode=job.mode,
        generator=job.generator.model,
        draw=job.draw,
        status=status,
        yields=Yield(0, 0, 0, 0, 0, 0),
        label_counts=dict.fromkeys(job.task.labels, job.rows_per_label),
        tokens_in=0,
        tokens_out=0,
        cost_usd=None,
        seconds=0.0,
        error=error,
    )


def failed_trial(job: TrialJob, error: str) -> Trial:
    """The record of a cell that could not be run."""
    return Trial(
        key="",
        task=job.task.name,
        mode=job.mode,
        generator=job.generator,
        classifier=job.classifier.model,
        seed=job.seed,
        status="failed",
        n_train=sum(job.label_counts.values()),
        n_test=0,
        label_counts=job.label_counts,
        error=error,
    )


def _cell(planned: PlannedTrial) -> dict[str, Any]:
    job = planned.job
    return {
        "task": job.task.name,
        "mode": job.mode,
        "generator": job.generator,
        "classifier": job.classifier.model,
        "seed": job.seed,
        "rows": sum(job.label_counts.values()),
        "stored": planned.stored,
    }


def _synthesis(planned: PlannedSynthesis) -> dict[str, Any]:
    job = planned.job
    names = {"task": job.task.name, "mode": job.mode, "generator": job.generator.model, "draw": job.draw}
    return {**names, **asdict(planned.estimate), "stored": planned.stored}


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
