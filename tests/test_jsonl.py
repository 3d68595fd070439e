"""Lines of records: any text comes back, and only a line feed ends a line."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.jsonl import DamagedError, encodable, encode, from_lines, from_value, to_lines

SEPARATORS = "a\u2028b\u2029c\x85d\x1ce\x1df\x1eg\x0bh\x0ci\rj\nk\0l"
"""All that ``str.splitlines`` takes for the end of a line, and a NUL."""


@dataclass(frozen=True)
class Note:
    text: str
    n: int = 0
    tags: tuple[str, ...] = ()


notes = st.builds(Note, st.text(), st.integers(-(2**63), 2**63 - 1), st.lists(st.text(), max_size=2).map(tuple))


@given(st.lists(notes, max_size=4))
def test_records_come_back(items: list[Note]) -> None:
    lines = list(to_lines([*items, Note(SEPARATORS)]))
    assert list(from_lines(lines, Note)) == [*items, Note(SEPARATORS)]
    assert b"".join(lines).count(b"\n") == len(items) + 1 == len(lines)


@given(st.text(st.characters(codec=None)))
def test_half_a_character_becomes_one_mark_and_all_else_stays(text: str) -> None:
    found = encodable(text)
    assert found.encode().decode() == found == encodable(found)
    pairs = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert found == (pairs if any("\ud800" <= character <= "\udfff" for character in text) else text)
    assert list(from_lines(to_lines([Note(text)]), Note)) == [Note(found)]


def test_halves_that_belong_together_are_joined() -> None:
    assert encodable("\ud83d\ude00 and \ud83d") == "😀 and \ufffd"


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b'{"n": 1}', b'{"text": 3}', b'{"text": "\xff"}', b'{"text": "a"}x', b"null"]
)
def test_a_line_that_holds_no_record_is_damage_that_names_it(line: bytes) -> None:
    with pytest.raises(DamagedError, match=r"^line 2: "):
        list(from_lines([encode(Note("a")) + b"\n", line + b"\n", encode(Note("b"))], Note))


def test_a_value_without_a_field_is_damage_that_names_the_field() -> None:
    with pytest.raises(DamagedError, match="text"):
        from_value({"n": 1}, Note)


def test_no_content_is_no_record() -> None:
    assert list(from_lines([], Note)) == []
