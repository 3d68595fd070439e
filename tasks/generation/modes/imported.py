"""Synthetic rows from other sources, named in the study's ``imports``, with the same filters and tests."""

from tasks.generation.mode import Mode, generated

MODE = Mode(
    name="imported",
    title="imported",
    summary="synthetic rows that others made, from the study's imports",
    rows=frozenset({"imported"}),
    select=generated,
)
