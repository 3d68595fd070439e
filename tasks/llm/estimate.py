"""Estimated calls, tokens, cost and time, before calls are made."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.records import known_sum


@dataclass(frozen=True, slots=True)
class Estimate:
    """The remaining calls of a synthesis or interview; zeros if it is in the store."""

    calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    """Null if the price is unknown."""
    seconds: float | None
    """Null if the generator's speed is unknown."""


NOTHING = Estimate(0, 0, 0, 0.0, 0.0)


def total(estimates: Iterable[Estimate]) -> Estimate:
    """The sum of estimates. A price or time that is unknown for one of them is unknown for the sum."""
    found = list(estimates)
    return Estimate(
        sum(item.calls for item in found),
        sum(item.tokens_in for item in found),
        sum(item.tokens_out for item in found),
        known_sum(item.cost_usd for item in found),
        known_sum(item.seconds for item in found),
    )
