"""Definition of a mode: the source of training rows and, if an LLM generates them, the prompts.

A ``PromptTemplate`` is a separate record, so that several modes can train on one synthesis: modes with the same
template share its calls, keys and rows.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.config import Frozen, TaskConfig
from tasks.config.parameters import NONE, read_parameters
from tasks.data.split import by_label
from tasks.generation.form import ONE_TEXT, Form
from tasks.llm.calls import Message
from tasks.records import ComparedTo, Example, ModeFacts, RowKind, TaskData


@dataclass(frozen=True)
class PromptInputs:
    """All inputs of the messages of one call."""

    task: TaskConfig
    label: str
    examples: tuple[Example, ...]
    """The pool's rows of this label."""
    rng: random.Random
    """Seeded by draw, label and call index."""
    earlier: tuple[str, ...] = ()
    """Answers of this conversation so far."""
    form: Form = ONE_TEXT
    """The form of the answer."""


@dataclass(frozen=True)
class PromptTemplate:
    """The prompts that ask an LLM for texts. Increase ``version`` when they change, so that all keys change, too."""

    name: str
    version: int
    messages: Callable[[PromptInputs], list[Message]]
    turns: int = 1
    """Texts asked for in one conversation; conversations are independent and run at the same time."""
    uses_pool: bool = False
    """Whether its prompts show rows of the pool."""


Select = Callable[[TaskData, Sequence[Example], Mapping[str, int], int], tuple[Example, ...]]
"""(real rows, generated rows, training rows wanted by label, draw) -> training rows."""


Count = Callable[[TaskData, Mapping[str, int]], dict[str, int]]
"""(real rows, rows by label of the generated set or, without one, of matched real rows) -> training rows by label."""


def as_many(data: TaskData, label_counts: Mapping[str, int]) -> dict[str, int]:
    """As many training rows as generated ones, so that the comparison with as many real rows is fair."""
    return dict(label_counts)


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A source of training rows."""

    name: str
    title: str
    """A few words for tables and figures."""
    summary: str
    """Description in one line."""
    rows: frozenset[RowKind]
    """Kinds of its training rows."""
    select: Select
    compared_to: ComparedTo = "real rows of the same size"
    template: PromptTemplate | None = None
    """Null for a mode without LLM calls."""
    count: Count = as_many
    percent_generated: int | None = None
    """For a mix: the percentage of generated rows."""
    parameters: Frozen = NONE
    make: Callable[[Any], "Mode"] | None = None
    """Makes the mode with other parameters; null for a mode without parameters."""

    def with_parameters(self, given: Mapping[str, str]) -> "Mode":
        """The same mode with other parameters. Raises ``UserError`` for unknown or invalid ones."""
        parameters = read_parameters(type(self.parameters), given, f"mode {self.name!r}")
        return self.make(parameters) if self.make else self

    @property
    def imports(self) -> bool:
        """Whether it trains on imported rows."""
        return "imported" in self.rows

    @property
    def source(self) -> str | None:
        """Name of the source of its synthetic rows; modes of one source share their syntheses. Null if all are real."""
        if self.imports:
            return self.name
        return self.template.name if self.template else None

    @property
    def facts(self) -> ModeFacts:
        """The facts about it that results have."""
        return ModeFacts(self.title, self.rows, self.compared_to, self.source, self.percent_generated)


@dataclass(frozen=True)
class Family:
    """Modes with parameters in their names, after slashes: ``mix/50``."""

    name: str
    """The part before the first slash."""
    usage: str
    """The allowed names, for messages."""
    make: Callable[[Sequence[str], Mapping[str, Mode]], Mode]
    """(parameters, modes that are not of a family) -> the mode. Raises ``UserError`` for invalid parameters."""


def generated(
    data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int
) -> tuple[Example, ...]:
    """The first generated rows of each label, as many as are wanted, or all if there are fewer."""
    groups = by_label(rows)
    return tuple(row for label, count in label_counts.items() for row in groups[label][:count])
