"""Journal entries -> kept and rejected rows, in the order of the calls, whatever order the answers came in.

Call i of every label comes before call i + 1 of any, and a label that has its rows takes no more. So rows depend on
the journal's content alone: a run that was killed and resumed ends with the rows of an undisturbed one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tasks.config import TaskConfig
from tasks.records import Row, Yield
from tasks.synthesis.filter import Check, Filter, Scene, Step
from tasks.synthesis.journal import Entry
from tasks.synthesis.parse import parse

STEPS: tuple[Step, ...] = ("parsed", "valid", "unique", "kept")


@dataclass
class Sieve:
    """Rows of one synthesis so far."""

    scene: Scene
    filters: tuple[Filter, ...]
    rows_per_label: int
    most_calls: int
    """Calls that a label may take."""
    lookup: Callable[[str, int], Entry | None]
    """(label, call index) -> its entry, null when it is not there yet."""
    rejected: list[Row] = field(default_factory=list)
    used: list[Entry] = field(default_factory=list)
    """Entries that were looked at."""

    def __post_init__(self) -> None:
        self.done: Counter[str] = Counter()
        """Calls looked at, by label."""
        self.kept: Counter[str] = Counter()
        self._checks: list[tuple[Filter, Check]] = [(item, item.build(self.scene)) for item in self.filters]
        self._order = self._calls()
        self._next = next(self._order, None)

    def advance(self) -> None:
        """Sift all entries that are there, up to the first call that has no answer yet."""
        while self._next is not None and (entry := self.lookup(*self._next)) is not None:
            self._sift(self._next[0], entry)
            self._next = next(self._order, None)

    @property
    def finished(self) -> bool:
        """Every label has its rows or has used up its calls."""
        return self._next is None

    def open(self, label: str) -> bool:
        """Whether a label still takes calls."""
        return self.kept[label] < self.rows_per_label and self.done[label] < self.most_calls

    def _calls(self) -> Iterator[tuple[str, int]]:
        labels = tuple(self.scene.task.labels)
        for index in range(self.most_calls):
            for label in labels:
                if self.kept[label] < self.rows_per_label:
                    yield label, index

    def _sift(self, label: str, entry: Entry) -> None:
        self.done[label] += 1
        self.used.append(entry)
        text = text_of(entry, self.scene.task)
        for item, check in self._checks:
            if (evidence := check(text)) is not None:
                self.rejected.append(Row(text or entry.answer, label, entry.call, item.name, evidence))
                return
        self.kept[label] += 1
        self.scene.kept.append(Row(text, label, entry.call))

    def yields(self) -> Yield:
        """How many texts survived each step."""
        reasons = Counter(row.reason for row in self.rejected if row.reason)
        steps = {item.name: item.step for item in self.filters}
        answered = sum(1 for entry in self.used if entry.answer.strip())
        lost = Counter(steps[row.reason] for row in self.rejected if row.reason)
        left, counts = len(self.used), {}
        for step in STEPS:
            left -= lost[step]
            counts[step] = left
        return Yield(requested=len(self.used), answered=answered, rejected=dict(reasons), **counts)


def text_of(entry: Entry, task: TaskConfig) -> str:
    """The text in an entry's answer."""
    return parse(entry.answer, tuple(task.labels), cut=entry.finish_reason == "length")


def count_kept(sieve: Sieve) -> Mapping[str, int]:
    """Kept rows by label, with a zero for a label that has none."""
    return {label: sieve.kept[label] for label in sieve.scene.task.labels}
