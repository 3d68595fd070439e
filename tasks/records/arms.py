"""The arm: what gets a score. Cells, trials and comparisons refer to it and are grouped by it."""

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
"""A training row: any human-labelled row, one that prompts may show, one that an LLM wrote, one that was imported."""
ComparedTo = Literal["real rows of the same size", "the study's real rows", "nothing"]
"""The real arm of a gap."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A generator, an import or a classifier with its settings. One model with two settings is two of these."""

    name: str
    """Name of the model or import."""
    label: str
    """Name for people. It differs from ``name`` only if a study has several settings of one name."""
    key: str
    """Hash of the config's ``identity``: the name and all settings that affect rows or trainings."""


def configured(
    config: GeneratorConfig | ImportConfig | ClassifierConfig,
    among: Iterable[GeneratorConfig | ImportConfig | ClassifierConfig] = (),
) -> Configured:
    """A generator, import or classifier of a study. ``among`` are all of its kind in the study.

    If several of them have the same name, the label adds the settings in which they differ, without defaults.
    """
    ours = config.identity
    others = [other.identity for other in among if other.identity["name"] == ours["name"]]
    different = (name for name, value in ours.items() if any(other.get(name) != value for other in others))
    settings = ", ".join(f"{name} {ours[name]}" for name in different)
    label = f"{ours['name']} ({settings})" if settings else ours["name"]
    return Configured(ours["name"], label, content_key(ours)[:ID_LENGTH])


@dataclass(frozen=True)
class Arm:
    """What gets a score: training rows of one kind, source and number, and a classifier that is trained on them.

    The cells of an arm differ only in their seeds.
    """

    task: str
    """Name of the task."""
    mode: str
    """Name of the mode."""
    source: Configured | None
    """The generator or import that made the rows or answers. Null if all rows are real."""
    classifier: Configured
    """The classifier that is trained, or without training, what answers."""
    size: int | None
    """Rows for each label that the study asks for. Null without training, and if something else sets the number: the
    reference, the pool, or a synthesis with too few rows."""
    rows: Rows
    """Requested training rows by label; empty without training."""

    @cached_property
    def id(self) -> str:
        """Id of the arm in results and MLflow: a hash of the fields above, with the keys of source and classifier."""
        source = self.source.key if self.source else None
        return content_key([self.task, self.mode, source, self.classifier.key, self.size, self.rows])[:ID_LENGTH]

    @property
    def source_label(self) -> str | None:
        """Name of the source for people; null if all rows are real."""
        return self.source.label if self.source else None

    @property
    def label(self) -> str:
        """Readable name, without the number of rows."""
        return readable(self.task, self.mode, self.source_label, self.classifier.label)

    @property
    def trained(self) -> bool:
        """Whether a classifier is trained. ``majority`` and an LLM that classifies train none."""
        return bool(self.rows)

    @property
    def across_tasks(self) -> "Arm":
        """The arm without its task and rows, which is the same for all tasks."""
        return dataclasses.replace(self, task="", rows=())


class OfArm:
    """The names of a record's arm, for code that shows the record."""

    arm: Arm

    @property
    def task(self) -> str:
        """Name of the task; empty if the record is about all tasks."""
        return self.arm.task

    @property
    def mode(self) -> str:
        """Name of the mode."""
        return self.arm.mode

    @property
    def source(self) -> str | None:
        """Name of the generator or import for people; null if all rows are real."""
        return self.arm.source_label

    @property
    def classifier(self) -> str:
        """Name of the classifier for people."""
        return self.arm.classifier.label


@dataclass(frozen=True)
class ModeFacts:
    """What analysis and reports need to know about a mode or an untrained arm (see ``tasks.modes``)."""

    title: str
    """Short name for tables and figures."""
    rows: frozenset[RowKind]
    """Kinds of rows that it trains on; empty for an untrained arm."""
    compared_to: ComparedTo
    """The real rows of its gap. A mode that measures the effect of the number of rows is not compared at its own
    size."""
    source: str | None = None
    """The mode whose generated or imported rows it trains on; null if it has none."""
    percent_generated: int | None = None
    """For a mix of generated and real rows: the percentage of generated rows."""

    @property
    def untrained(self) -> bool:
        """Whether nothing is trained. Such an arm is for comparison only and shows nothing about training rows."""
        return not self.rows

    @property
    def synthetic(self) -> bool:
        """Whether some of its training rows are generated or imported."""
        return not self.rows.isdisjoint(("generated", "imported"))

    @property
    def all_synthetic(self) -> bool:
        """Whether all of its training rows are generated or imported."""
        return self.synthetic and self.rows <= {"generated", "imported"}
