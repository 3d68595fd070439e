"""How many seeds or test rows would show a loss: power of the t test that corresponds to the intervals of ``paired``.

One part of a gap's variance gets smaller only with more test rows, another part only with more seeds. So it can happen
that no number of seeds (or of test rows) is enough; the result is then None.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

POWER, ALPHA = 0.8, 0.05
MOST_SEEDS, MOST_ROWS = 200, 100_000
"""The largest numbers that are tried; the result is None if more are needed."""


@dataclass(frozen=True)
class VarianceParts:
    """The variance of a mean over seeds and its parts (scores are 0 to 1)."""

    seeds: int
    items: int
    items_shared: float
    """Variance of the mean that comes from items on which all seeds make the same errors."""
    between_seeds: float
    """Variance of one seed: from its training and from its own errors on items."""
    by_items: float
    """The part of ``between_seeds`` that more test items would reduce."""

    @property
    def variance(self) -> float:
        """Variance of the mean over seeds."""
        return self.items_shared + self.between_seeds / self.seeds

    @property
    def degrees_of_freedom(self) -> float:
        """For the power: those of the t distribution that is nearest to the one in ``paired``."""
        return max(self.seeds - 1, 1) / self.seeds_share if self.seeds_share > 0 else float("inf")

    @property
    def seeds_share(self) -> float:
        """The share of the variance of the mean that comes from the seeds, 0 to 1."""
        return self.between_seeds / self.seeds / self.variance if self.variance > 0 else 0.0


def seeds_needed(parts: VarianceParts, loss: float) -> int | None:
    """Fewest seeds whose interval would show a true ``loss`` at power .8 and level .05, on the same test rows.

    None with one seed, because its variance is unknown, and if ``MOST_SEEDS`` are not enough.
    """
    return _fewest(lambda seeds: replace(parts, seeds=seeds), parts, loss, 2, MOST_SEEDS)


def test_rows_needed(parts: VarianceParts, loss: float) -> int | None:
    """Fewest test rows that would show a true ``loss`` with the same seeds.

    None with one seed, and if ``MOST_ROWS`` are not enough. Without any variance, the rule of three gives the number.
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
    """The smallest number with enough power, by bisection: power grows with the number."""
    if parts.seeds < 2 or parts.variance <= 0 or power(varied(high), loss) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(varied(middle), loss) >= POWER else (middle + 1, high)
    return high


def power(parts: VarianceParts, loss: float) -> float:
    """Probability that a two-sided test at level .05 detects a true ``loss``.

    The opposite tail is left out: it is negligible, and statsmodels returns NaN for it if the loss is large. If the
    loss is tens of standard errors, statsmodels returns NaN for both tails; the normal distribution then replaces it.
    """
    from scipy.stats import norm
    from statsmodels.stats.power import TTestPower

    effect = loss / parts.variance**0.5
    found = float(TTestPower().power(effect, 1, ALPHA / 2, df=min(parts.degrees_of_freedom, 1e6), alternative="larger"))
    return float(norm.sf(norm.isf(ALPHA / 2) - effect)) if math.isnan(found) else found
