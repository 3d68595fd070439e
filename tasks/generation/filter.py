"""Definition of a filter: one reason to reject a text, with evidence.

A filter is built for one synthesis with its ``FilterContext``. A filter that compares texts with kept ones has its own
index, and each check first adds new rows of ``context.kept`` to it. So filters do not depend on each other.
"""

import functools
import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tasks.config import Frozen, TaskConfig
from tasks.config.parameters import NONE, read_parameters, spell
from tasks.generation.row_file import RowFile
from tasks.records import Example, Row

Step = Literal["parsed", "valid", "unique", "kept"]
"""The step of the filter counts that a rejected text fails to reach."""

Check = Callable[[Row], str | None]
"""A generated text with the label that was asked for -> evidence against it, or null if it passes."""


@dataclass
class FilterContext:
    """The data that filters of one synthesis may use. Of the test set it has hashes of normalised texts, no labels."""

    task: TaskConfig
    pool: tuple[Example, ...]
    test_hashes: frozenset[str]
    kept: RowFile = field(default_factory=RowFile)
    """Rows kept so far, of all labels. Reading a row is slow, so a filter should use an index to select the rows to
    read."""


def any_task(task: TaskConfig) -> None:
    """Task check of a filter that supports every task."""


@dataclass(frozen=True)
class Filter:
    """One reason to reject. Increase ``version`` when its verdicts change."""

    name: str
    version: int
    step: Step
    build: Callable[..., Check]
    """Makes the check from a ``FilterContext`` and the parameters, which are keyword arguments."""
    check_task: Callable[[TaskConfig], None] = any_task
    """Raises ``UserError`` for a task that the filter does not support; called when a study is planned."""
    parameters: Frozen = NONE
    """The defaults, or the values that a study sets."""

    @property
    def spelling(self) -> str:
        """Its name and the parameters that are not the default; part of the synthesis key."""
        return spell(self.name, self.parameters.model_dump(exclude_defaults=True))

    def with_parameters(self, given: Mapping[str, str]) -> "Filter":
        """The same filter with other parameters. Raises ``UserError`` for unknown or invalid ones."""
        parameters = read_parameters(type(self.parameters), given, f"filter {self.name!r}")
        return replace(self, parameters=parameters)

    def check(self, context: FilterContext) -> Check:
        """The check for texts of one synthesis."""
        return self.build(context, **dict(self.parameters))


MARKS = 30
"""Most combining marks in a row: the Stream-Safe Text Process (UAX #15, section 13) splits longer sequences. The time
of Unicode normalisation grows with the square of their number."""
MANY_MARKS = re.compile(rf"[^\w\s]{{{MARKS + 1}}}")
"""Matches a text that may have more of them: no combining mark is a letter, digit or space."""
JOINER = "\u034f"
"""Combining grapheme joiner, which is invisible and which normalisation does not reorder."""


@functools.lru_cache(maxsize=256)  # most filters normalise the same text, one after the other
def normalise(text: str) -> str:
    """The text in lower case, with compatibility characters folded, only letters and digits, single spaces."""
    safe = _stream_safe(text) if MANY_MARKS.search(text) else text
    folded = unicodedata.normalize("NFKC", safe).casefold()
    return " ".join(re.findall(r"\w+", folded.replace("_", " ")))


def _stream_safe(text: str) -> str:
    parts, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MARKS:
            parts.append(JOINER)
            marks = 1
        parts.append(character)
    return "".join(parts)


def text_hash(text: str) -> str:
    """Hash of a normalised text, or of the text itself if it has no letters or digits."""
    return hashlib.sha256((normalise(text) or text.strip()).encode()).hexdigest()[:32]


def cite(row: Row) -> str:
    """Names a generated row in evidence, by its call and its number in that call."""
    return f"call {row.call} answer {row.answer}"


def quote(text: str, limit: int = 80) -> str:
    """A text in quotes for evidence, shortened to ``limit`` characters."""
    return repr(text if len(text) <= limit else f"{text[: limit - 1]}…")
