"""What LLM calls took, and sums of numbers that may be unknown."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """What LLM calls took."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = 0.0
    """Null when a price is unknown."""
    seconds: float = 0.0
    """Wall time, other work beside it included."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are the most that they can have been."""


def known_sum(values: Iterable[float | None]) -> float | None:
    """The sum; null where any of the values is unknown."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total
