"""The form of an answer: one bare text, or several in a JSON object or a numbered list; its instruction and its parser.

Several texts in one answer share the cost of the prompt, and the model sees the texts that it has already written. The
parser is lenient, because models often do not follow the form. The filters then check each text on its own.
"""

import contextlib
import json
import re
from dataclasses import dataclass
from typing import Any

from tasks.generation.parse import MOST_CHARACTERS, UnreadableError
from tasks.jsonl import encodable

FIELD = "texts"
MOST_NESTED = 100
"""Deepest nesting of brackets in an answer's JSON; ordinary answers have two or three levels."""
MOST_BROKEN = 50_000
"""Longest answer whose JSON is repaired, in characters: 8,000 words. A longer one must be valid JSON or a list."""
MOST_REPAIR_STEPS = 600_000
"""Characters that the repair of broken JSON may read, at most half a second: for some inputs it reads each character
thousands of times. Broken answers of 20 texts take 5,000 to 60,000, with long texts and many unescaped quotes
400,000."""
ITEM = re.compile(r"^[^\S\n]*+(?:\*\*)?(?:\(?\d{1,3}[.):]|[-*•])(?:\*\*)?\s+", re.MULTILINE)
FENCE = re.compile(r"^\s*```[\w-]*\n|\n?```\s*$")


@dataclass(frozen=True)
class Form:
    """The form that is asked for."""

    texts: int = 1
    """Texts in one answer."""
    as_json: bool = False
    """As a JSON object, not a numbered list. Not used for a single text."""

    @property
    def instruction(self) -> str:
        """The sentence of the prompt that asks for this form."""
        if self.texts == 1:
            return "Answer with the text alone."
        if self.as_json:
            return f'Answer with a JSON object whose field "{FIELD}" is the list of these {self.texts} texts.'
        return f"Answer with these {self.texts} texts as a numbered list and nothing else."

    @property
    def schema(self) -> dict[str, Any] | None:
        """OpenAI's ``response_format``; null for a form without a JSON schema."""
        if self.texts == 1 or not self.as_json:
            return None
        texts = {"type": "array", "items": {"type": "string"}}
        fields = {"type": "object", "properties": {FIELD: texts}, "required": [FIELD], "additionalProperties": False}
        return {"type": "json_schema", "json_schema": {"name": FIELD, "strict": True, "schema": fields}}

    def split(self, answer: str, cut: bool = False) -> tuple[str, ...]:
        """The texts in an answer, at most as many as were asked for; empty if there are none.

        If the answer was ``cut`` off, its last text is incomplete and is left out. Raises ``UnreadableError``.
        """
        if self.texts == 1:
            return (answer,)
        if len(answer) > (most := MOST_CHARACTERS * self.texts):
            raise UnreadableError(f"{len(answer):,} characters, over {most:,}")
        found = _from_json(answer) if "{" in answer or "[" in answer else None
        if found is None:
            found = _from_list(answer)
        whole = found[:-1] if cut else found
        return tuple(text for text in whole if text)[: self.texts]


ONE_TEXT = Form()


def _from_json(answer: str) -> list[str] | None:
    """The strings of the first list in an answer's JSON; null if there is none. Raises ``UnreadableError``."""
    value = _repaired(FENCE.sub("", answer))
    if isinstance(value, dict):
        value = value.get(FIELD) or next((item for item in value.values() if isinstance(item, list)), None)
    if not isinstance(value, list):
        return None
    texts = [_string(item) for item in value]
    return [text for text in texts if text is not None] or None


def _repaired(text: str) -> Any:
    """The value of JSON that may be broken."""
    import json_repair

    if _nesting(text) > MOST_NESTED:  # deeper nesting could exhaust the stack, at a depth that depends on the caller
        raise UnreadableError(f"over {MOST_NESTED} nested brackets")
    if len(text) > MOST_BROKEN:
        with contextlib.suppress(ValueError):
            return json.loads(text)
        return None
    try:
        return json_repair.loads(_Metered.of(text))
    except Exception as error:  # the library raises errors of many types for hostile input
        raise UnreadableError(f"JSON that cannot be repaired ({type(error).__name__})") from None


def _nesting(text: str) -> int:
    """Deepest nesting of brackets. Brackets in strings count, too."""
    deepest = depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


class TooManyStepsError(Exception):
    """The repair of JSON reads more characters than allowed."""


class _Metered(str):
    """A string that counts how many of its characters are read. Its slices and concatenations share the counter."""

    __slots__ = ("steps",)
    steps: list[int]

    @classmethod
    def of(cls, text: str, steps: list[int] | None = None) -> "_Metered":
        made = cls(text)
        made.steps = [0] if steps is None else steps
        return made

    def __getitem__(self, place: Any) -> str:
        part = str.__getitem__(self, place)
        self.steps[0] += 1 + len(part) // 64
        if self.steps[0] > MOST_REPAIR_STEPS:
            raise TooManyStepsError
        return _Metered.of(part, self.steps) if isinstance(place, slice) else part

    def __add__(self, other: str) -> "_Metered":
        return _Metered.of(str.__add__(self, other), self.steps)


def _string(item: Any) -> str | None:
    """A list's item as a text: some models wrap each in an object."""
    if isinstance(item, dict):
        item = next((value for value in item.values() if isinstance(value, str)), None)
    return encodable(str(item)).strip() if isinstance(item, str) else None  # JSON may contain a lone surrogate


def _from_list(answer: str) -> list[str]:
    """The items of a numbered or bulleted list; the lines of an answer without list marks."""
    marks = list(ITEM.finditer(answer))
    if not marks:
        return [line.strip() for line in answer.split("\n") if line.strip()]
    ends = [mark.start() for mark in marks[1:]] + [len(answer)]
    return [" ".join(answer[mark.end() : end].split()) for mark, end in zip(marks, ends, strict=True)]
