"""Human-labelled rows in their natural label shares, to show the score that more labelling would give."""

from collections.abc import Mapping, Sequence

from tasks.data.sample import natural_rows
from tasks.generation.mode import Mode
from tasks.records import Example, TaskData


def _select(data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int) -> tuple[Example, ...]:
    return natural_rows(data, sum(label_counts.values()), draw)


MODE = Mode(
    name="real_full",
    title="real, full",
    summary="human-labelled rows in their natural label shares, for reference",
    rows=frozenset({"real"}),
    select=_select,
    compared_to="nothing",
)
