"""Human-labelled rows, as many per label as the generated sets have. Every gap is measured against such rows."""

from collections.abc import Mapping, Sequence

from tasks.data.sample import matched_rows
from tasks.generation.mode import Mode
from tasks.records import Example, TaskData


def _select(data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int) -> tuple[Example, ...]:
    return matched_rows(data, label_counts, draw)


MODE = Mode(
    name="real",
    title="real, same size",
    summary="human-labelled rows, as many per label as the generated sets",
    rows=frozenset({"real"}),
    select=_select,
    compared_to="nothing",
)
