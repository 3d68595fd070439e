"""What a filter is: one reason to reject a text, with evidence.

A filter is built for one synthesis with its ``FilterContext``. One that compares with kept texts keeps an index of its
own and catches up with ``context.kept`` when it is asked, so that no filter needs to be told of another.
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
"""A generated text with the label that was asked for -> evidence against it, or null when it passes."""


@dataclass
class FilterContext:
    """What filters of one synthesis may look at. Of the test set they see hashes of normalised texts, never labels."""

    task: TaskConfig
    pool: tuple[Example, ...]
    test_hashes: frozenset[str]
    kept: RowFile = field(default_factory=RowFile)
    """Rows kept so far, of all labels. Reading one takes a while: an index should tell which are worth it."""


def any_task(task: TaskConfig) -> None:
    """For a filter that can judge the texts of every task."""


@dataclass(frozen=True)
class Filter:
    """One reason to reject. Raise ``version`` when its verdicts change."""

    name: str
    version: int
    step: Step
    build: Callable[..., Check]
    """Makes the check from a ``FilterContext`` and, by their names, the parameters."""
    check_task: Callable[[TaskConfig], None] = any_task
    """Raises ``UserError`` for a task whose texts it cannot judge; asked when a study is planned."""
    parameters: Frozen = NONE
    """Their defaults, or what a study says instead."""

    @property
    def spelling(self) -> str:
        """Its name, and the parameters that are not the default: keys hold it."""
        return spell(self.name, self.parameters.model_dump(exclude_defaults=True))

    def with_parameters(self, given: Mapping[str, str]) -> "Filter":
        """The same filter with other parameters. Raises ``UserError`` for those that it does not take."""
        parameters = read_parameters(type(self.parameters), given, f"filter {self.name!r}")
        return replace(self, parameters=parameters)

    def check(self, context: FilterContext) -> Check:
        """What rejects texts of one synthesis."""
        return self.build(context, **dict(self.parameters))


MARKS = 30
"""Combining marks in a row, after which the Stream-Safe Text Process (UAX #15, section 13) breaks them up: Unicode
normalisation takes the square of their number."""
MANY_MARKS = re.compile(rf"[^\w\s]{{{MARKS + 1}}}")
"""Where there may be more of them: no combining mark is a letter, digit or space."""
JOINER = "\u034f"
"""Combining grapheme joiner, which shows nothing and is no mark to sort."""


@functools.lru_cache(maxsize=256)  # most filters ask for that of the same text, one after the other
def normalise(text: str) -> str:
    """Lower case, compatibility characters folded, only letters and digits, single spaces."""
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
    """Hash of a normalised text; of the text itself where nothing of it is a letter or digit."""
    return hashlib.sha256((normalise(text) or text.strip()).encode()).hexdigest()[:32]


def cite(row: Row) -> str:
    """Which generated row evidence means: its call and which of the call's answers it is."""
    return f"call {row.call} answer {row.answer}"


def quote(text: str, limit: int = 80) -> str:
    """A text in quotes for evidence, shortened."""
    return repr(text if len(text) <= limit else f"{text[: limit - 1]}…")
