"""What LLM calls cost, and sums of numbers that may be unknown."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """What LLM calls cost."""

    calls: int = 0
    """Completed calls."""
    tokens_in: int = 0
    """Tokens read by the LLM."""
    tokens_out: int = 0
    """Tokens written by the LLM."""
    cost_usd: float | None = 0.0
    """Dollars; null if a price is unknown."""
    seconds: float = 0.0
    """Wall time, which includes other work at the same time."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are upper bounds, because the provider did not report them."""


def known_sum(values: Iterable[float | None]) -> float | None:
    """The sum; null if any of the values is unknown."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total
