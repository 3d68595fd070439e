"""What a mode is: where training rows come from and, where an LLM writes them, how it is asked.

The asking is a ``Writer`` of its own, so that several modes can train on one and the same synthesis: modes that share
a writer share its calls, keys and rows.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.config import TaskConfig
from tasks.records import Example, TaskData
from tasks.synthesis.calls import Message
from tasks.synthesis.form import ONE_TEXT, Form


@dataclass(frozen=True)
class Turn:
    """One call's place: everything that its messages may depend on."""

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
class Writer:
    """How an LLM is asked for texts. Raise ``version`` when its prompts change: it renames everything written."""

    name: str
    version: int
    messages: Callable[[Turn], list[Message]]
    turns: int = 1
    """Texts asked for in one conversation; conversations are independent and run at the same time."""
    uses_pool: bool = False
    """Its prompts show rows of the pool."""


Select = Callable[[TaskData, Sequence[Example], Mapping[str, int], int], tuple[Example, ...]]
"""(real rows, generated rows, training rows wanted by label, draw) -> training rows."""


@dataclass(frozen=True)
class Mode:
    """Where training rows come from."""

    name: str
    summary: str
    """One line for people."""
    select: Select
    writer: Writer | None = None
    """Null where no LLM is asked."""

    @property
    def needs_generator(self) -> bool:
        """An LLM writes (some of) its rows."""
        return self.writer is not None


def generated(
    data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int
) -> tuple[Example, ...]:
    """The first generated rows of each label, as many as wanted or as there are."""
    return tuple(
        row
        for label, count in label_counts.items()
        for row in [row for row in rows if row.label == label][:count]
    )  # fmt: skip
