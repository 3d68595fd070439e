"""The same text, up to case, punctuation and spacing, as one that was kept, whatever its label."""

from tasks.generation.filter import Check, Filter, FilterContext, cite, quote, text_hash
from tasks.generation.hash_index import HashIndex
from tasks.records import Row

DIGITS = 16
"""Of a text's hash in hexadecimal, which the index holds; all of it decides."""
MOST = 100
"""Kept rows that are compared. One of them at most has the text's whole hash; others are alike by chance, if any."""


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
