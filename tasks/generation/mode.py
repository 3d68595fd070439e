"""What a mode is: where training rows come from and, where an LLM writes them, how it is asked.

A ``PromptTemplate`` is a record of its own, so that several modes can train on one synthesis: modes that share a
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
    """Everything that the messages of one call may depend on."""

    task: TaskConfig
    label: str
    examples: tuple[Example, ...]
    """The pool's rows of this label."""
    rng: random.Random
    """Seeded by draw, label and call index."""
    earlier: tuple[str, ...] = ()
    """Answers that this conversation gave so far."""
    form: Form = ONE_TEXT
    """What the answer shall look like."""


@dataclass(frozen=True)
class PromptTemplate:
    """How an LLM is asked for texts. Raise ``version`` when its prompts change: it renames everything written."""

    name: str
    version: int
    messages: Callable[[PromptInputs], list[Message]]
    turns: int = 1
    """Texts asked for in one conversation; conversations are independent and run at the same time."""
    uses_pool: bool = False
    """Its prompts show rows of the pool."""


Select = Callable[[TaskData, Sequence[Example], Mapping[str, int], int], tuple[Example, ...]]
"""(real rows, generated rows, training rows wanted by label, draw) -> training rows."""


Count = Callable[[TaskData, Mapping[str, int]], dict[str, int]]
"""(real rows, rows by label of the generated set or, without one, of matched real rows) -> training rows by label."""


def as_many(data: TaskData, label_counts: Mapping[str, int]) -> dict[str, int]:
    """As many training rows as there are generated ones, so that real rows of the same size are a fair comparison."""
    return dict(label_counts)


@dataclass(frozen=True, kw_only=True)
class Mode:
    """Where training rows come from."""

    name: str
    title: str
    """A few words for tables and figures."""
    summary: str
    """One line for people."""
    rows: frozenset[RowKind]
    """Kinds of rows that it trains on."""
    select: Select
    compared_to: ComparedTo = "real rows of the same size"
    template: PromptTemplate | None = None
    """Null where no LLM is asked."""
    count: Count = as_many
    percent_generated: int | None = None
    """For a mix: the share of its rows that is generated."""
    parameters: Frozen = NONE
    make: Callable[[Any], "Mode"] | None = None
    """Makes the mode of other parameters; null where it has none."""

    def with_parameters(self, given: Mapping[str, str]) -> "Mode":
        """The same mode with other parameters. Raises ``UserError`` for those that it does not take."""
        parameters = read_parameters(type(self.parameters), given, f"mode {self.name!r}")
        return self.make(parameters) if self.make else self

    @property
    def imports(self) -> bool:
        """Whether its rows are those that the study imports."""
        return "imported" in self.rows

    @property
    def source(self) -> str | None:
        """What its generated rows are called: modes of one source share their syntheses. Null where all are real."""
        if self.imports:
            return self.name
        return self.template.name if self.template else None

    @property
    def facts(self) -> ModeFacts:
        """What results need to know of it."""
        return ModeFacts(self.title, self.rows, self.compared_to, self.source, self.percent_generated)


@dataclass(frozen=True)
class Family:
    """Modes with parameters in their names, after slashes: ``mix/50``."""

    name: str
    """The part before the first slash."""
    usage: str
    """The names it understands, for messages."""
    make: Callable[[Sequence[str], Mapping[str, Mode]], Mode]
    """(parameters, modes without any) -> the mode. Raises ``UserError`` for parameters that it does not take."""


def generated(
    data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int
) -> tuple[Example, ...]:
    """The first generated rows of each label, as many as wanted or as there are."""
    groups = by_label(rows)
    return tuple(row for label, count in label_counts.items() for row in groups[label][:count])
