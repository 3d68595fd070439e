"""Rows of text: real rows, generated rows, and all real rows of a task with their summary for results."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tasks.config import TaskConfig
from tasks.records.names import content_key


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text. ``agreement`` is the share of human raters who chose the label, 0 to 1; null if unknown."""

    text: str
    label: str
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A generated text and its origin. ``reason`` is why it was rejected; null for a kept row."""

    text: str
    label: str
    call: str
    """Id of the journal entry that holds the answer."""
    reason: str | None = None
    evidence: str = ""
    """For a rejected row: the text that it resembles or the rule that it breaks, in a few words."""
    answer: int = 0
    """Number of the answer within the call, from 0."""


@dataclass(frozen=True)
class TaskData:
    """The real rows of one task. ``pool`` is the part of ``train`` that few-shot prompts may show.

    No text is in both ``train`` and ``test``, and no text occurs twice.
    """

    task: TaskConfig
    train: tuple[Example, ...]
    pool: tuple[Example, ...]
    test: tuple[Example, ...]
    source: str
    """What was read, for people: package and member, hub id and revision, or file names."""

    def __hash__(self) -> int:
        """A hash without the texts. Selections of rows are cached by it, and hashing all texts takes too long."""
        return hash((self.task.name, self.source, len(self.train), len(self.pool), len(self.test)))

    def __eq__(self, other: object) -> bool:
        """By the content key, because a run reads the rows of its plan again and asks for their choices."""
        if not isinstance(other, TaskData):
            return NotImplemented
        return self is other or (self.source == other.source and self.task == other.task and self.key == other.key)

    @cached_property
    def key(self) -> str:
        """Content key of the task and its rows. It does not depend on their source.

        Rows are hashed as plain tuples: converting 28,000 records takes most of a second.
        """
        splits = (self.train, self.pool, self.test)
        rows = [[(row.text, row.label, row.agreement) for row in split] for split in splits]
        task = self.task.model_dump_json(exclude={"sources"})  # as text, because the order of labels counts
        return content_key([task, *rows])

    @property
    def summary(self) -> "TaskSummary":
        """A summary without the rows, for results."""
        sizes = len(self.train), len(self.pool), len(self.test)
        return TaskSummary(
            self.task.name,
            self.task.title,
            tuple(self.task.labels),
            self.source,
            *sizes,
            licence=self.task.licence,
            citation=self.task.citation,
        )


@dataclass(frozen=True)
class TaskSummary:
    """Summary of a task's real rows for results, without the rows."""

    name: str
    """Name of the task in studies and results."""
    title: str
    """Title for people."""
    labels: tuple[str, ...]
    """Names of the labels, in the order of the task file."""
    source: str
    """What was read, for people: package and member, hub id and revision, or file names."""
    n_train: int
    """Real training rows."""
    n_pool: int
    """Number of training rows that few-shot prompts may show."""
    n_test: int
    """Real test rows."""
    diversity: Mapping[str, float] = field(default_factory=dict)
    """Diversity of the real training rows, with the measures of ``Synthesis.diversity``."""
    similarity: Mapping[str, float] = field(default_factory=dict)
    """Similarity of the real training rows to the reference, which are the real rows that syntheses are compared
    with."""
    licence: str = ""
    """Licence of the data, as the task file states it."""
    citation: str = ""
    """Citation of the data, as the task file states it."""
    note: str = ""
    """Labels with fewer real rows than the study asks for; empty if there are none."""


def count_labels(examples: Iterable[Example | Row], labels: Iterable[str]) -> dict[str, int]:
    """Rows by label, with a zero for a label that has none."""
    counts = Counter(example.label for example in examples)
    return {label: counts[label] for label in labels}
