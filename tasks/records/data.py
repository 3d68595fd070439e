"""Rows of text: a real one, a generated one, and all real rows of a task with what results say about them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tasks.config import TaskConfig
from tasks.records.names import content_key


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text. ``agreement`` is the share of human raters behind the label, 0 to 1, where known."""

    text: str
    label: str
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A generated text and where it came from. ``reason`` is null for a kept row, else why it was rejected."""

    text: str
    label: str
    call: str
    """Id of the journal entry that holds the answer."""
    reason: str | None = None
    evidence: str = ""
    """For a rejected row: what it resembles or breaks, in a few words."""
    answer: int = 0
    """Which of the call's answers, from 0."""


@dataclass(frozen=True)
class TaskData:
    """The real rows of one task. ``pool`` is the part of ``train`` that few-shot prompts may show.

    No text stands in both ``train`` and ``test``, and none twice.
    """

    task: TaskConfig
    train: tuple[Example, ...]
    pool: tuple[Example, ...]
    test: tuple[Example, ...]
    source: str
    """What was read, for people: package and member, hub id and revision, or file names."""

    def __hash__(self) -> int:
        """Quick, because choices of rows are kept by their task's data: reading all texts would take as long."""
        return hash((self.task.name, self.source, len(self.train), len(self.pool), len(self.test)))

    @cached_property
    def key(self) -> str:
        """Content key of the task and its rows, wherever they came from.

        Rows go in as plain tuples: walking 28,000 records takes most of a second.
        """
        splits = (self.train, self.pool, self.test)
        rows = [[(row.text, row.label, row.agreement) for row in split] for split in splits]
        task = self.task.model_dump_json(exclude={"sources"})  # as text, because the order of labels counts
        return content_key([task, *rows])

    @property
    def summary(self) -> "TaskSummary":
        """The same without the rows, for results."""
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
    """What results say about a task's real rows, without the rows."""

    name: str
    """Of the task, in studies and results."""
    title: str
    """For people."""
    labels: tuple[str, ...]
    """Names of the labels, in the order of the task file."""
    source: str
    """What was read, for people: package and member, hub id and revision, or file names."""
    n_train: int
    """Real training rows."""
    n_pool: int
    """Those of them that few-shot prompts may show."""
    n_test: int
    """Real test rows."""
    diversity: Mapping[str, float] = field(default_factory=dict)
    """Of the real training rows, by the measures of ``Synthesis.diversity``."""
    similarity: Mapping[str, float] = field(default_factory=dict)
    """Of the real training rows to the reference: the real rows that syntheses are compared with."""
    licence: str = ""
    """Of the data, as the task file states it."""
    citation: str = ""
    """Of the data, as the task file states it."""
    note: str = ""
    """What a reader of the task's scores should know: labels with fewer real rows than the study asks for."""


def count_labels(examples: Iterable[Example | Row], labels: Iterable[str]) -> dict[str, int]:
    """Rows by label, with a zero for a label that has none."""
    counts = Counter(example.label for example in examples)
    return {label: counts[label] for label in labels}
