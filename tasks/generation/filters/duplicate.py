"""The same text, up to case, punctuation and spacing, as one that was kept, whatever its label."""

from tasks.generation.filter import Check, Filter, FilterContext, cite, quote, text_hash
from tasks.records import Row


def _build(context: FilterContext) -> Check:
    seen: dict[str, Row] = {}
    read = 0

    def check(row: Row) -> str | None:
        nonlocal read
        for kept in context.kept[read:]:
            seen[text_hash(kept.text)] = kept
        read = len(context.kept)
        first = seen.get(text_hash(row.text))
        return f"same as {cite(first)}: {quote(first.text)}" if first else None

    return check


FILTER = Filter("duplicate", version=2, step="unique", build=_build)
