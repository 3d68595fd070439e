"""A plan: what a run of a study would do and cost, as records and as the plain object that people and scripts see."""

from dataclasses import asdict, dataclass
from typing import Any

from tasks.config import GeneratorConfig, StudyConfig
from tasks.labelling.untrained import UntrainedJob
from tasks.llm.estimate import Estimate, total
from tasks.records import SynthesisJob, TrialJob, known_sum


@dataclass(frozen=True)
class PlannedSynthesis:
    """One synthesis with its price tag."""

    job: SynthesisJob
    modes: tuple[str, ...]
    """The study's modes that train on it."""
    stored: bool
    estimate: Estimate


@dataclass(frozen=True)
class PlannedTrial:
    """One cell. ``stored`` is false where its training rows are not generated yet."""

    job: TrialJob
    stored: bool


@dataclass(frozen=True)
class PlannedUntrained:
    """One cell that trains nothing, with its price tag."""

    job: UntrainedJob
    stored: bool
    estimate: Estimate


@dataclass(frozen=True)
class PlannedQuestions:
    """What annotators or judges are asked. ``task`` is empty for judges, who compare all tasks."""

    task: str
    who: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Shown:
    """Real texts that somebody gets to see when the study runs."""

    task: str
    what: str
    """``description`` (of the task and its labels: no text of the data), ``few-shot pool``, ``test texts`` or
    ``all real rows``."""
    texts: int
    """At most so many."""
    to: str | None
    """A host or provider; null for this machine."""


@dataclass(frozen=True)
class Plan:
    """What a run of the study would do."""

    study: StudyConfig
    syntheses: tuple[PlannedSynthesis, ...]
    trials: tuple[PlannedTrial, ...]
    untrained: tuple[PlannedUntrained, ...]
    questions: tuple[PlannedQuestions, ...]
    training_seconds: float | None
    """What the missing trials take one after the other; null when a classifier's speed is unknown."""
    notes: tuple[str, ...] = ()
    """What is done otherwise than the study asks, and why."""
    shown: tuple[Shown, ...] = ()
    """Which real texts are still to be shown, and to whom."""
    asked: tuple[GeneratorConfig, ...] = ()
    """The LLMs that are still to be called."""

    @property
    def synthesis_jobs(self) -> tuple[SynthesisJob, ...]:
        """All syntheses of the study."""
        return tuple(planned.job for planned in self.syntheses)

    @property
    def untrained_jobs(self) -> tuple[UntrainedJob, ...]:
        """The cells that train nothing."""
        return tuple(planned.job for planned in self.untrained)

    @property
    def real_jobs(self) -> tuple[TrialJob, ...]:
        """The trials that need no synthesis."""
        return tuple(planned.job for planned in self.trials if planned.job.arm.source is None)

    @property
    def all_stored(self) -> bool:
        """Whether the store has every part of the grid."""
        cells = (*(item.stored for item in self.trials), *(item.stored for item in self.untrained))
        return all(item.stored for item in self.syntheses) and all(cells)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain JSON; dollars are null when a price is unknown, minutes when no speed is known yet."""
        missing = [planned.estimate for planned in self.syntheses if not planned.stored]
        missing += [planned.estimate for planned in self.untrained if not planned.stored]
        missing += [planned.estimate for planned in self.questions]
        totals = total(missing)
        stored = [*(planned.stored for planned in self.trials), *(planned.stored for planned in self.untrained)]
        return {
            "study": self.study.name,
            "notes": list(self.notes),
            "cells": [*map(_cell, self.trials), *map(_cell, self.untrained)],
            "syntheses": [_synthesis(planned) for planned in self.syntheses],
            "questions": [*map(_classification, self.untrained), *map(_questions, self.questions)],
            "trials": {"total": len(stored), "stored": sum(stored)},
            "shown": [{**asdict(item), "leaves": item.to is not None} for item in self.shown],
            "totals": {
                "calls": totals.calls,
                "tokens_in": totals.tokens_in,
                "tokens_out": totals.tokens_out,
                "cost_usd": totals.cost_usd,
                "minutes": self._minutes(totals),
            },
        }

    def _minutes(self, totals: Estimate) -> float | None:
        """As if nothing ran beside anything else: on one machine all of it shares the same cores."""
        seconds = known_sum([self.training_seconds, totals.seconds])
        return None if seconds is None else round(seconds / 60, 1)


def _cell(planned: PlannedTrial | PlannedUntrained) -> dict[str, Any]:
    job, arm = planned.job, planned.job.arm
    return {
        "arm": arm.id,
        "task": arm.task,
        "mode": arm.mode,
        "generator": arm.source_label,
        "classifier": arm.classifier.label,
        "seed": job.seed,
        "rows": sum(job.label_counts.values()) if isinstance(job, TrialJob) else 0,
        "stored": planned.stored,
    }


def _classification(planned: PlannedUntrained) -> dict[str, Any]:
    cell = _cell(planned)
    names = {name: cell[name] for name in ("task", "mode", "generator")}
    return {**names, **asdict(planned.estimate), "stored": planned.stored}


def _questions(planned: PlannedQuestions) -> dict[str, Any]:
    names = {"task": planned.task, "mode": planned.who, "generator": None}
    return {**names, **asdict(planned.estimate), "stored": False}


def _synthesis(planned: PlannedSynthesis) -> dict[str, Any]:
    job = planned.job
    names = {"task": job.task.name, "mode": job.mode, "generator": job.source.label, "draw": job.draw}
    return {**names, "modes": list(planned.modes), **asdict(planned.estimate), "stored": planned.stored}
