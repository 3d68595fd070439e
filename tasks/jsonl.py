r"""Records as JSON lines: one value a line, and a line ends at "\n" alone.

``str.splitlines`` ends lines at U+2028, U+0085 and others as well, which JSON leaves in a text as they are.
"""

import dataclasses
import functools
import json
from collections.abc import Hashable, Iterable
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class DamagedError(ValueError):
    """What was read is not what was written; the message says what is wrong with it."""


def encodable(text: str) -> str:
    """The text with U+FFFD for each half of a character (lone surrogate): UTF-8, and so every file, refuses them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def encode(value: Any) -> bytes:
    """A value or record as JSON on one line, without the line's end."""
    plain = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
    return encodable(json.dumps(plain, ensure_ascii=False)).encode()


def to_lines(items: Iterable[Any]) -> bytes:
    """Values or records, one a line."""
    return b"".join(encode(item) + b"\n" for item in items)


def from_lines(content: bytes, of: type[T]) -> tuple[T, ...]:
    """The values or records in lines. Raises ``DamagedError`` for a line that holds none."""
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    return tuple(from_line(line, of, number) for number, line in enumerate(lines, start=1))


def from_line(line: bytes, of: type[T], number: int | None = None) -> T:
    """The value or record in a line. Raises ``DamagedError``."""
    try:
        found: T = _adapter(cast("Hashable", of)).validate_json(line)
    except ValidationError as error:
        where = "it" if number is None else f"line {number}"
        raise DamagedError(f"{where} holds no {_name(of)}: {error.errors()[0]['msg']}") from None
    return found


def from_value(value: Any, of: type[T]) -> T:
    """The record in a parsed JSON value. Raises ``DamagedError`` where a field is missing or wrong."""
    try:
        found: T = _adapter(cast("Hashable", of)).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DamagedError(f"it holds no {_name(of)}: {place}: {first['msg']}") from None
    return found


@functools.cache
def _adapter(of: Hashable) -> TypeAdapter[Any]:
    """Reads values of a type; made once, because that takes longer than reading a thousand."""
    return TypeAdapter(cast("type[Any]", of))


def _name(of: type[Any]) -> str:
    return getattr(of, "__name__", "record").lstrip("_").lower()
