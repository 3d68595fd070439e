"""Journal entries -> kept and rejected rows, in the order of the calls, regardless of the order of the answers.

Call i of every label comes before call i + 1 of any label, and a label that has its rows takes no more calls. So rows
depend only on the journal's content: a run that was killed and resumed has the rows of an uninterrupted run. Rows and
entries stay on disk, because there may be millions.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tasks.config import TaskConfig
from tasks.generation.filter import Check, Filter, FilterContext, Step
from tasks.generation.form import Form
from tasks.generation.parse import UnreadableError, parse
from tasks.generation.row_file import RowFile
from tasks.llm.calls import Answer
from tasks.llm.empty_answers import EmptyAnswers
from tasks.llm.journal import CallTotals, Entry
from tasks.records import FilterCounts, Row

STEPS: tuple[Step, ...] = ("parsed", "valid", "unique", "kept")
UNFINISHED = "unfinished"
"""Reason to reject an answer that was cut off before its first complete line or sentence."""
MISSING = "missing"
"""Reason for each missing text of an answer that should have several."""
UNREADABLE = "unreadable"
"""Reason to reject an answer that cannot be parsed."""
SHOWN_CHARACTERS = 2_000
"""Characters of an unreadable answer that its row keeps; the journal has the whole answer."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of an answer."""

    answer: Answer
    text: str
    """Empty if there is none."""
    unreadable: str = ""
    """Why the answer could not be parsed; empty if it could."""


@dataclass
class FilterPipeline:
    """Rows of one synthesis so far."""

    context: FilterContext
    filters: tuple[Filter, ...]
    form: Form
    rows_wanted: Mapping[str, int]
    """By label."""
    most_texts: Mapping[str, int]
    """By label: the most texts that may be filtered to get these rows."""
    lookup: Callable[[str, int], Entry | None]
    """(label, call index) -> its entry; null if it has not come yet."""
    rejected: RowFile = field(default_factory=RowFile)

    def __post_init__(self) -> None:
        self.done: Counter[str] = Counter()
        """Calls filtered, by label."""
        self.looked: Counter[str] = Counter()
        """Texts filtered, by label."""
        self.answered = 0
        """Texts filtered whose answer was not empty."""
        self.kept: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        """Rejected texts by reason."""
        self.paid = CallTotals()
        """Tokens and cost of the filtered calls."""
        self.empty_answers = EmptyAnswers()
        self._checks: list[tuple[Filter, Check]] = [(item, item.check(self.context)) for item in self.filters]
        self._order = self._calls()
        self._next = next(self._order, None)

    def advance(self, step: Callable[[], None] = lambda: None) -> None:
        """Filter all entries up to the first call that has no answer yet; ``step`` is called after each."""
        while self._next is not None and (entry := self.lookup(*self._next)) is not None:
            self._filter(self._next[0], entry)
            self._next = next(self._order, None)
            step()

    @property
    def finished(self) -> bool:
        """Whether every label has its rows or has used up its texts."""
        return self._next is None

    def open(self, label: str) -> bool:
        """Whether a label still needs calls and may make them."""
        return self.kept[label] < self.rows_wanted[label] and self.looked[label] < self.most_texts[label]

    def _calls(self) -> Iterator[tuple[str, int]]:
        labels = tuple(self.context.task.labels)
        for index in itertools.count():
            for label in (label for label in labels if self.open(label)):
                yield label, index
            if not any(map(self.open, labels)):
                return

    def upcoming(self, most: int) -> list[tuple[str, int]]:
        """The next ``most`` calls in order, if all open labels stay open."""
        if self._next is None:
            return []
        label, index = self._next
        labels = list(filter(self.open, self.context.task.labels))
        order = ((name, i) for i in itertools.count(index) for name in labels)
        return list(itertools.islice(itertools.dropwhile(lambda call: call != (label, index), order), most))

    def looked_at(self) -> Iterator[Entry]:
        """The filtered entries, in their order; each is read again from the journal."""
        for index in range(max(self.done.values(), default=0)):
            for label in self.context.task.labels:
                if index < self.done[label] and (entry := self.lookup(label, index)) is not None:
                    yield entry

    def texts(self, entry: Entry) -> list[Text]:
        """The texts in an entry's answers."""
        return read_texts(entry, self.context.task, self.form)

    def _filter(self, label: str, entry: Entry) -> None:
        self.done[label] += 1
        self.paid.add(entry)
        texts = self.texts(entry)
        self.empty_answers.add(entry, [found.text for found in texts])
        for number, found in enumerate(texts):
            if not self.open(label):
                return
            row = self._judged(Row(found.text, label, entry.call, answer=number), found)
            self.looked[label] += 1
            self.answered += bool(found.answer.text.strip())
            if row.reason is None:
                self.kept[label] += 1
                self.context.kept.append(row)
            else:
                self.reasons[row.reason] += 1
                shown = found.answer.text[:SHOWN_CHARACTERS] if found.unreadable else found.answer.text
                self.rejected.append(replace(row, text=row.text or shown))

    def _judged(self, row: Row, found: Text) -> Row:
        answer = found.answer
        if found.unreadable:
            return replace(row, reason=UNREADABLE, evidence=found.unreadable)
        if not row.text and answer.text.strip() and answer.finish_reason == "length":
            return replace(row, reason=UNFINISHED, evidence="the token limit came before the end of a sentence")
        if not row.text and answer.text.strip() and self.form.texts > 1:
            return replace(row, reason=MISSING, evidence=f"fewer than {self.form.texts} texts in the answer")
        for item, check in self._checks:
            if (evidence := check(row)) is not None:
                return replace(row, reason=item.name, evidence=evidence)
        return row

    def yields(self) -> FilterCounts:
        """How many texts survived each step."""
        steps = {**dict.fromkeys((UNREADABLE, UNFINISHED, MISSING), "parsed"), **{f.name: f.step for f in self.filters}}
        lost: Counter[str] = Counter()
        for reason, texts in self.reasons.items():
            lost[steps[reason]] += texts
        left, counts = self.looked.total(), {}
        for step in STEPS:
            left -= lost[step]
            counts[step] = left
        return FilterCounts(
            requested=self.looked.total(), answered=self.answered, rejected=dict(self.reasons), **counts
        )


def texts_of(entry: Entry, task: TaskConfig, form: Form) -> list[tuple[Answer, str]]:
    """The texts in an entry's answers, each with its answer; the missing texts of an answer are empty."""
    return [(found.answer, found.text) for found in read_texts(entry, task, form)]


def read_texts(entry: Entry, task: TaskConfig, form: Form) -> list[Text]:
    """The texts in an entry's answers; the missing texts of an answer are empty."""
    return [text for answer in entry.answers for text in _read(answer, tuple(task.labels), form)]


def _read(answer: Answer, labels: tuple[str, ...], form: Form) -> list[Text]:
    cut = answer.finish_reason == "length"
    try:
        parts = form.split(answer.text, cut)
    except UnreadableError as error:
        return [Text(answer, "", str(error))] * form.texts
    texts = [_parsed(answer, part, labels, cut and form.texts == 1) for part in parts]
    return texts + [Text(answer, "")] * (form.texts - len(texts))


def _parsed(answer: Answer, part: str, labels: tuple[str, ...], cut: bool) -> Text:
    try:
        return Text(answer, parse(part, labels, cut))
    except UnreadableError as error:
        return Text(answer, "", str(error))


def count_kept(pipeline: FilterPipeline) -> Mapping[str, int]:
    """Kept rows by label, with a zero for a label that has none."""
    return {label: pipeline.kept[label] for label in pipeline.context.task.labels}
