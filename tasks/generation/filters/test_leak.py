"""A text of the real test set, except for case, punctuation and spacing: the LLM memorised it, or it leaked."""

from tasks.generation.filter import Check, Filter, FilterContext, quote, text_hash
from tasks.records import Row


def _build(context: FilterContext) -> Check:
    def check(row: Row) -> str | None:
        return f"in the test set: {quote(row.text)}" if text_hash(row.text) in context.test_hashes else None

    return check


FILTER = Filter("test_leak", version=1, step="kept", build=_build)
