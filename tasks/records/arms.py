"""The arm: what gets a score. Cells, trials and comparisons refer to it, and everything groups by it."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tasks.config import ClassifierConfig, GeneratorConfig, ImportConfig
from tasks.records.names import content_key, readable

ID_LENGTH = 16
"""Hex digits of an arm's id and of its parts' keys: a study has hundreds of arms, not billions."""
Rows = tuple[tuple[str, int], ...]
"""Rows by label, sorted by label."""
RowKind = Literal["real", "pool", "generated", "imported"]
"""A training row: any human-labelled one, one that prompts may show, one that an LLM wrote, one that others made."""
ComparedTo = Literal["real rows of the same size", "the study's real rows", "nothing"]
"""Which real arm a gap is measured to."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A generator, an import or a classifier with its settings: two settings of one model are two of these."""

    name: str
    """Of the model or import."""
    label: str
    """What people read. It differs from ``name`` only where a study has several settings of one name."""
    key: str
    """Hash of the config's ``identity``: the name and all settings that shape rows or trainings."""


def configured(
    config: GeneratorConfig | ImportConfig | ClassifierConfig,
    among: Iterable[GeneratorConfig | ImportConfig | ClassifierConfig] = (),
) -> Configured:
    """A generator, import or classifier of a study. ``among`` are all that the study lists of its kind: where some of
    them have the same name, the label adds the settings in which they differ, defaults left out.
    """
    ours = config.identity
    others = [other.identity for other in among if other.identity["name"] == ours["name"]]
    told = (name for name, value in ours.items() if any(other.get(name) != value for other in others))
    settings = ", ".join(f"{name} {ours[name]}" for name in told)
    label = f"{ours['name']} ({settings})" if settings else ours["name"]
    return Configured(ours["name"], label, content_key(ours)[:ID_LENGTH])


@dataclass(frozen=True)
class Arm:
    """What gets a score: training rows of one kind, source and number, and a classifier that is trained on them.

    The cells of an arm differ in their seeds alone.
    """

    task: str
    """Name of the task."""
    mode: str
    """Name of the mode."""
    source: Configured | None
    """Who made rows or answers: a generator or an import. Null where all rows are real."""
    classifier: Configured
    """What is trained or, where nothing is, what answers."""
    size: int | None
    """Rows for each label that the study asks for. Null where something else sets their number: the reference, the
    pool, a synthesis that fell short of its rows; and where nothing is trained."""
    rows: Rows
    """Training rows asked for by label; empty where nothing is trained."""

    @cached_property
    def id(self) -> str:
        """Names the arm in results and MLflow: a hash of the fields above, with the keys of source and classifier."""
        source = self.source.key if self.source else None
        return content_key([self.task, self.mode, source, self.classifier.key, self.size, self.rows])[:ID_LENGTH]

    @property
    def source_label(self) -> str | None:
        """The source for people; null where all rows are real."""
        return self.source.label if self.source else None

    @property
    def label(self) -> str:
        """Readable name, without the number of rows."""
        return readable(self.task, self.mode, self.source_label, self.classifier.label)

    @property
    def trained(self) -> bool:
        """Whether a classifier is trained: not by ``majority``, nor by an LLM that classifies."""
        return bool(self.rows)

    @property
    def across_tasks(self) -> "Arm":
        """The same for all tasks: what is compared from task to task."""
        return dataclasses.replace(self, task="", rows=())


class OfArm:
    """The names of a record's arm, for whoever shows the record."""

    arm: Arm

    @property
    def task(self) -> str:
        """Name of the task; empty where the record is about all tasks."""
        return self.arm.task

    @property
    def mode(self) -> str:
        """Name of the mode."""
        return self.arm.mode

    @property
    def source(self) -> str | None:
        """The generator or import, for people; null where all rows are real."""
        return self.arm.source_label

    @property
    def classifier(self) -> str:
        """The classifier, for people."""
        return self.arm.classifier.label


@dataclass(frozen=True)
class ModeFacts:
    """What analysis and reports need to know of a mode or of an untrained arm; ``tasks.modes`` has those of each."""

    title: str
    """A few words for tables and figures."""
    rows: frozenset[RowKind]
    """Kinds of rows that it trains on; empty for an untrained arm."""
    compared_to: ComparedTo
    """Modes whose number of rows is part of the question are not compared at their own size."""
    source: str | None = None
    """The mode whose generated or imported rows it trains on; null where it has none."""
    percent_generated: int | None = None
    """For a mix of generated and real rows: the share that is generated."""

    @property
    def untrained(self) -> bool:
        """Whether it is a row of comparison only: nothing is trained, so it says nothing about training rows."""
        return not self.rows

    @property
    def synthetic(self) -> bool:
        """Whether some of its training rows are generated or imported."""
        return not self.rows.isdisjoint(("generated", "imported"))

    @property
    def all_synthetic(self) -> bool:
        """Whether all of its training rows are generated or imported."""
        return self.synthetic and self.rows <= {"generated", "imported"}
