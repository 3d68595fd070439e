"""The form of an answer: one bare text, or several in a JSON object or a numbered list; asked for and read again.

Several texts in one answer share the price of the prompt, and the model sees what it wrote before. What comes back is
read leniently, since models break the form that they were asked for in every way, and each text is judged by itself.
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
"""Brackets open at once in an answer's JSON; honest answers have two or three."""
MOST_BROKEN = 50_000
"""Longest answer whose JSON is repaired, in characters: 8,000 words. A longer one is JSON as it stands, or a list."""
MOST_REPAIR_STEPS = 600_000
"""Characters that the repair of broken JSON may look at, half a second at worst: some inputs make it look at each one
thousands of times. Broken answers of 20 texts take 5,000 to 60,000, with long texts full of bare quotes 400,000."""
ITEM = re.compile(r"^[^\S\n]*+(?:\*\*)?(?:\(?\d{1,3}[.):]|[-*•])(?:\*\*)?\s+", re.MULTILINE)
FENCE = re.compile(r"^\s*```[\w-]*\n|\n?```\s*$")


@dataclass(frozen=True)
class Form:
    """What an answer shall look like."""

    texts: int = 1
    """Texts in one answer."""
    as_json: bool = False
    """As a JSON object rather than a numbered list; of one text neither."""

    @property
    def instruction(self) -> str:
        """The sentence that asks for it."""
        if self.texts == 1:
            return "Answer with the text alone."
        if self.as_json:
            return f'Answer with a JSON object whose field "{FIELD}" is the list of these {self.texts} texts.'
        return f"Answer with these {self.texts} texts as a numbered list and nothing else."

    @property
    def schema(self) -> dict[str, Any] | None:
        """OpenAI's ``response_format``; null where none is asked for."""
        if self.texts == 1 or not self.as_json:
            return None
        texts = {"type": "array", "items": {"type": "string"}}
        fields = {"type": "object", "properties": {FIELD: texts}, "required": [FIELD], "additionalProperties": False}
        return {"type": "json_schema", "json_schema": {"name": FIELD, "strict": True, "schema": fields}}

    def split(self, answer: str, cut: bool = False) -> tuple[str, ...]:
        """The texts in an answer, at most as many as were asked for; none where there is nothing.

        Of an answer that was ``cut`` off the last one is left out, because it is not whole. Raises ``UnreadableError``.
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
    """The strings of the first list in an answer's JSON; null where there is none. Raises ``UnreadableError``."""
    value = _repaired(FENCE.sub("", answer))
    if isinstance(value, dict):
        value = value.get(FIELD) or next((item for item in value.values() if isinstance(item, list)), None)
    if not isinstance(value, list):
        return None
    texts = [_string(item) for item in value]
    return [text for text in texts if text is not None] or None


def _repaired(text: str) -> Any:
    """The value of JSON that a model may have broken."""
    import json_repair

    if _nesting(text) > MOST_NESTED:  # before the parser runs out of stack, which depends on who called it
        raise UnreadableError(f"over {MOST_NESTED} nested brackets")
    if len(text) > MOST_BROKEN:
        with contextlib.suppress(ValueError):
            return json.loads(text)
        return None
    try:
        return json_repair.loads(_Metered.of(text))
    except Exception as error:  # whatever it comes upon: it was written for honest mistakes
        raise UnreadableError(f"JSON that cannot be repaired ({type(error).__name__})") from None


def _nesting(text: str) -> int:
    """Most brackets that are open at once, whether or not they stand in a string."""
    deepest = depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


class TooManyStepsError(Exception):
    """The repair of JSON looks at more characters than it may."""


class _Metered(str):
    """A text that counts how often it is looked at, as do its parts and sums."""

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
    return encodable(str(item)).strip() if isinstance(item, str) else None  # JSON may escape half a character


def _from_list(answer: str) -> list[str]:
    """The items of a numbered or bulleted list; its lines where it has no marks."""
    marks = list(ITEM.finditer(answer))
    if not marks:
        return [line.strip() for line in answer.split("\n") if line.strip()]
    ends = [mark.start() for mark in marks[1:]] + [len(answer)]
    return [" ".join(answer[mark.end() : end].split()) for mark, end in zip(marks, ends, strict=True)]
