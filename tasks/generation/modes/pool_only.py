"""All of the few real rows that few-shot prompts may show, and nothing else: shows their value without an LLM.

Li et al. 2023 train on them to measure what the texts that are generated from them add.
"""

from collections.abc import Mapping, Sequence

from tasks.generation.mode import Mode
from tasks.records import Example, TaskData, count_labels


def _select(data: TaskData, rows: Sequence[Example], label_counts: Mapping[str, int], draw: int) -> tuple[Example, ...]:
    return data.pool


def _count(data: TaskData, label_counts: Mapping[str, int]) -> dict[str, int]:
    return count_labels(data.pool, data.task.labels)


MODE = Mode(
    name="pool_only",
    title="pool only",
    summary="the few real rows that few-shot prompts show, and nothing else",
    rows=frozenset({"pool"}),
    select=_select,
    compared_to="the study's real rows",
    count=_count,
)
