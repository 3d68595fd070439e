"""A text with more than twice the words that the prompt allows."""

from tasks.generation.filter import Check, Filter, FilterContext
from tasks.records import Row


def _build(context: FilterContext) -> Check:
    limit = 2 * context.task.max_words

    def check(row: Row) -> str | None:
        words = len(row.text.split())
        return f"{words} words, over {limit}" if words > limit else None

    return check


FILTER = Filter("over_long", version=1, step="valid", build=_build)
