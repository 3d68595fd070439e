"""How many seeds or test rows would show a loss: power of the t test that corresponds to the intervals of ``paired``.

One part of a gap's variance falls only with more test rows, another only with more seeds. So more of one of them may
never be enough; then the answer is None.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

POWER, ALPHA = 0.8, 0.05
MOST_SEEDS, MOST_ROWS = 200, 100_000
"""The largest numbers that are searched; what needs more is None."""


@dataclass(frozen=True)
class VarianceParts:
    """The variance of a mean over seeds, and where it comes from (scores are 0 to 1)."""

    seeds: int
    items: int
    items_shared: float
    """Of the mean, through items on which all seeds err alike."""
    between_seeds: float
    """Of one seed: of its training, and of its own errors on items."""
    by_items: float
    """The part of ``between_seeds`` that more test items would reduce."""

    @property
    def variance(self) -> float:
        """Of the mean over seeds."""
        return self.items_shared + self.between_seeds / self.seeds

    @property
    def degrees_of_freedom(self) -> float:
        """For power: those of the t distribution nearest to the one of ``paired``."""
        return max(self.seeds - 1, 1) / self.seeds_share if self.seeds_share > 0 else float("inf")

    @property
    def seeds_share(self) -> float:
        """Of the variance of the mean, 0 to 1."""
        return self.between_seeds / self.seeds / self.variance if self.variance > 0 else 0.0


def seeds_needed(parts: VarianceParts, loss: float) -> int | None:
    """Fewest seeds whose interval would show a true ``loss`` at power .8 and level .05, on the same test rows.

    None with one seed, whose variance is unknown, and where ``MOST_SEEDS`` are not enough.
    """
    return _fewest(lambda seeds: replace(parts, seeds=seeds), parts, loss, 2, MOST_SEEDS)


def test_rows_needed(parts: VarianceParts, loss: float) -> int | None:
    """Fewest test rows that would show it with the same seeds.

    None with one seed, and where ``MOST_ROWS`` are not enough. Where nothing varies, the rule of three gives them.
    """
    if parts.seeds > 1 and parts.variance <= 0:
        return math.ceil(3 / loss)
    own = max(0.0, parts.between_seeds - parts.by_items)

    def with_rows(rows: int) -> VarianceParts:
        less = parts.items / rows
        by_items = min(parts.by_items, parts.between_seeds) * less
        return VarianceParts(parts.seeds, rows, parts.items_shared * less, own + by_items, by_items)

    return _fewest(with_rows, parts, loss, 20, MOST_ROWS)


test_rows_needed.__test__ = False  # type: ignore[attr-defined]


def _fewest(
    varied: Callable[[int], VarianceParts], parts: VarianceParts, loss: float, low: int, high: int
) -> int | None:
    """Bisection over a number that power grows with."""
    if parts.seeds < 2 or parts.variance <= 0 or power(varied(high), loss) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(varied(middle), loss) >= POWER else (middle + 1, high)
    return high


def power(parts: VarianceParts, loss: float) -> float:
    """Probability that a two-sided test at level .05 tells a true ``loss`` from none.

    The other tail is left out: it is negligible, and statsmodels gives NaN for it where the loss is clear. Where the
    loss is tens of standard errors, statsmodels gives NaN for either tail; the normal distribution is as good there.
    """
    from scipy.stats import norm
    from statsmodels.stats.power import TTestPower

    effect = loss / parts.variance**0.5
    found = float(TTestPower().power(effect, 1, ALPHA / 2, df=min(parts.degrees_of_freedom, 1e6), alternative="larger"))
    return float(norm.sf(norm.isf(ALPHA / 2) - effect)) if math.isnan(found) else found
