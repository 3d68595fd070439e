"""The few real rows of the pool and the texts that were generated from them with the few-shot prompts.

The generated rows are those that ``few_shot`` trains on, so that the two modes differ only in the pool's rows.
"""

from collections.abc import Mapping, Sequence

from tasks.generation.mode import Mode, generated
from tasks.generation.modes import few_shot
from tasks.records import Example, TaskData, count_labels


def _select(data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int) -> tuple[Example, ...]:
    pool = count_labels(data.pool, data.task.labels)
    return (*data.pool, *generated(data, rows, {label: n - pool[label] for label, n in label_counts.items()}, draw))


def _count(data: TaskData, label_counts: Mapping[str, int]) -> dict[str, int]:
    pool = count_labels(data.pool, data.task.labels)
    return {label: pool[label] + n for label, n in label_counts.items()}


MODE = Mode(
    name="pool_plus_synthetic",
    title="pool + synthetic",
    summary="the few real rows that few-shot prompts show and what an LLM made of them",
    rows=frozenset({"pool", "generated"}),
    select=_select,
    compared_to="the study's real rows",
    template=few_shot.MODE.template,
    count=_count,
)
