"""A plan: what a run of a study would do and cost, as records and as plain JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from tasks.config import GeneratorConfig, StudyConfig
from tasks.labelling.untrained import UntrainedJob
from tasks.llm.estimate import Estimate, total
from tasks.records import SynthesisJob, TrialJob, known_sum


@dataclass(frozen=True)
class PlannedSynthesis:
    """One synthesis with its estimated cost."""

    job: SynthesisJob
    modes: tuple[str, ...]
    """The study's modes that train on it."""
    stored: bool
    estimate: Estimate


@dataclass(frozen=True)
class PlannedTrial:
    """One cell. ``stored`` is false if its training rows are not generated yet."""

    job: TrialJob
    stored: bool


@dataclass(frozen=True)
class PlannedUntrained:
    """One untrained cell with its estimated cost."""

    job: UntrainedJob
    stored: bool
    estimate: Estimate


@dataclass(frozen=True)
class PlannedQuestions:
    """The questions to annotators or judges. ``task`` is empty for judges, who compare all tasks."""

    task: str
    who: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Shown:
    """Real texts that are sent to an LLM or a store when the study runs."""

    task: str
    what: str
    """``description`` (of the task and its labels: no text of the data), ``few-shot pool``, ``test texts`` or
    ``all real rows``."""
    texts: int
    """Most texts that may be sent."""
    to: str | None
    """A host or provider; null for this machine."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The estimated cost of a run before anything was spent."""

    calls: int | None = None
    """LLM calls."""
    tokens_in: int | None = None
    """Tokens read by LLMs."""
    tokens_out: int | None = None
    """Tokens written by LLMs."""
    cost_usd: float | None = None
    """Null if a price is unknown."""
    minutes: float | None = None
    """Null if the speed of a classifier or an LLM is unknown."""


@dataclass(frozen=True)
class Plan:
    """What a run of the study would do."""

    study: StudyConfig
    syntheses: tuple[PlannedSynthesis, ...]
    trials: tuple[PlannedTrial, ...]
    untrained: tuple[PlannedUntrained, ...]
    questions: tuple[PlannedQuestions, ...]
    training_seconds: float | None
    """Seconds of the missing trials one after the other, plus the start of their run; null if a classifier's speed is
    unknown.
    """
    notes: tuple[str, ...] = ()
    """Differences between the plan and what the study asks for, with the reasons."""
    shown: tuple[Shown, ...] = ()
    """Real texts that would still be sent, with their destinations."""
    asked: tuple[GeneratorConfig, ...] = ()
    """The LLMs that would still be called."""

    @property
    def synthesis_jobs(self) -> tuple[SynthesisJob, ...]:
        """All syntheses of the study."""
        return tuple(planned.job for planned in self.syntheses)

    @property
    def untrained_jobs(self) -> tuple[UntrainedJob, ...]:
        """The untrained cells."""
        return tuple(planned.job for planned in self.untrained)

    @property
    def real_jobs(self) -> tuple[TrialJob, ...]:
        """The trials that need no synthesis."""
        return tuple(planned.job for planned in self.trials if planned.job.arm.source is None)

    @property
    def cells(self) -> tuple[PlannedTrial | PlannedUntrained, ...]:
        """All cells, the untrained ones last."""
        return (*self.trials, *self.untrained)

    @property
    def all_stored(self) -> bool:
        """Whether the store has every part of the grid."""
        return all(item.stored for item in (*self.syntheses, *self.cells))

    @property
    def totals(self) -> Planned:
        """The remaining work. ``minutes`` assumes that nothing runs at the same time, because on one machine all work
        shares the same cores.
        """
        missing = [planned.estimate for planned in self.syntheses if not planned.stored]
        missing += [planned.estimate for planned in self.untrained if not planned.stored]
        asked = total([*missing, *(planned.estimate for planned in self.questions)])
        seconds = known_sum([self.training_seconds, asked.seconds])
        minutes = None if seconds is None else round(seconds / 60, 1)
        return Planned(asked.calls, asked.tokens_in, asked.tokens_out, asked.cost_usd, minutes)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain JSON; dollars are null if a price is unknown, minutes if a speed is unknown."""
        return {
            "study": self.study.name,
            "notes": list(self.notes),
            "cells": [_cell(planned) for planned in self.cells],
            "syntheses": [_synthesis(planned) for planned in self.syntheses],
            "questions": [*map(_classification, self.untrained), *map(_questions, self.questions)],
            "trials": {"total": len(self.cells), "stored": sum(planned.stored for planned in self.cells)},
            "shown": [{**asdict(item), "leaves": item.to is not None} for item in self.shown],
            "totals": asdict(self.totals),
        }


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
