"""An empty answer, or one without letters and digits."""

from tasks.generation.filter import Check, Filter, FilterContext, normalise, quote
from tasks.records import Row


def _build(context: FilterContext) -> Check:
    def check(row: Row) -> str | None:
        if any(character.isalnum() for character in normalise(row.text)):
            return None
        return f"no letter or digit in {quote(row.text)}"

    return check


FILTER = Filter("empty", version=1, step="parsed", build=_build)
