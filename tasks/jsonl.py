r"""Records as JSON lines: one value on each line, and only "\n" ends a line.

``str.splitlines`` also ends lines at U+2028, U+0085 and others, which JSON does not escape.
"""

import dataclasses
import functools
import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class DamagedError(ValueError):
    """The content is not what was written; the message says what is wrong."""


def encodable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate (half of a character), which UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def encode(value: Any) -> bytes:
    """A value or record as one line of JSON, without the line feed."""
    return encodable(json.dumps(value, ensure_ascii=False, default=_plain)).encode()


def _plain(value: Any) -> Any:
    """A record's fields. ``asdict`` would make deep copies of them, which takes longer than writing."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def to_lines(items: Iterable[Any]) -> Iterator[bytes]:
    """Values or records as lines of JSON with line feeds. An item that is bytes must already be such a line."""
    return (item if isinstance(item, bytes) else encode(item) + b"\n" for item in items)


def from_lines(lines: Iterable[bytes], of: type[T]) -> Iterator[T]:
    """The values or records in lines. Raises ``DamagedError`` for a line that contains none."""
    return (from_line(line.removesuffix(b"\n"), of, number) for number, line in enumerate(lines, start=1))


def from_line(line: bytes, of: type[T], number: int | None = None) -> T:
    """The value or record in a line. Raises ``DamagedError``."""
    try:
        found: T = _adapter(cast("Hashable", of)).validate_json(line)
    except ValidationError as error:
        raise DamagedError(f"line {number or 1}: {_first(error)}") from None
    return found


def from_value(value: Any, of: type[T]) -> T:
    """The record in a parsed JSON value. Raises ``DamagedError`` if a field is missing or wrong."""
    try:
        found: T = _adapter(cast("Hashable", of)).validate_python(value)
    except ValidationError as error:
        raise DamagedError(_first(error)) from None
    return found


@functools.cache
def _adapter(of: Hashable) -> TypeAdapter[Any]:
    """Reads values of a type. It is cached, because building it takes longer than reading a thousand values."""
    return TypeAdapter(cast("type[Any]", of))


def _first(error: ValidationError) -> str:
    """The first error and its field."""
    first = error.errors()[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
