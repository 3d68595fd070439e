"""A text that is the same as a kept one of any label, except for case, punctuation and spacing."""

from tasks.generation.filter import Check, Filter, FilterContext, cite, quote, text_hash
from tasks.generation.hash_index import HashIndex
from tasks.records import Row

DIGITS = 16
"""Hexadecimal digits of a text's hash that the index has. The whole hashes are compared afterwards."""
MOST = 100
"""Most kept rows to compare. At most one of them has the text's whole hash; the others share only some digits."""


def _build(context: FilterContext) -> Check:
    index, read = HashIndex(MOST), 0

    def check(row: Row) -> str | None:
        nonlocal read
        for number in range(read, len(context.kept)):
            index.add(number, [int(text_hash(context.kept[number].text)[:DIGITS], 16)])
        read = len(context.kept)
        wanted = text_hash(row.text)
        alike = (context.kept[number] for number in index.find([int(wanted[:DIGITS], 16)]))
        first = next((kept for kept in alike if text_hash(kept.text) == wanted), None)
        return f"same as {cite(first)}: {quote(first.text)}" if first else None

    return check


FILTER = Filter("duplicate", version=2, step="unique", build=_build)
