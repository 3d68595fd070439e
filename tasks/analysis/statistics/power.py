"""How many seeds or test rows would show a loss: power of the t test that the intervals of ``statistics`` stand for.

The variance of a gap has a part that only more test rows lessen and a part that only more seeds lessen, so that either
alone may never be enough; then the answer is None.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

POWER, ALPHA = 0.8, 0.05
MOST_SEEDS, MOST_ROWS = 200, 100_000
"""Beyond these nobody would go: None is said instead."""


@dataclass(frozen=True)
class Chance:
    """The variance of a mean over seeds, and where it comes from (scores are 0 to 1)."""

    seeds: int
    items: int
    items_shared: float
    """Of the mean, through items on which all seeds err alike."""
    between_seeds: float
    """Of one seed: its own chance and its own errors on items."""
    by_items: float
    """The part of ``between_seeds`` that more test items would lessen."""

    @property
    def variance(self) -> float:
        """Of the mean over seeds."""
        return self.items_shared + self.between_seeds / self.seeds

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the t distribution nearest to the one of ``statistics``, for power: those of the seeds
        over the seeds' share.
        """
        return max(self.seeds - 1, 1) / self.seeds_share if self.seeds_share > 0 else float("inf")

    @property
    def seeds_share(self) -> float:
        """Of the variance of the mean, 0 to 1."""
        return self.between_seeds / self.seeds / self.variance if self.variance > 0 else 0.0


def seeds_needed(chance: Chance, loss: float) -> int | None:
    """Fewest seeds whose interval would show a true ``loss`` at power .8 and level .05, on the same test rows.

    None with one seed, whose chance is unknown, and where ``MOST_SEEDS`` would not do.
    """
    return _fewest(lambda seeds: replace(chance, seeds=seeds), chance, loss, 2, MOST_SEEDS)


def test_rows_needed(chance: Chance, loss: float) -> int | None:
    """Fewest test rows that would show it with the same seeds.

    None with one seed, and where ``MOST_ROWS`` would not do. Where nothing varies, those of the rule of three.
    """
    if chance.seeds > 1 and chance.variance <= 0:
        return math.ceil(3 / loss)
    own = max(0.0, chance.between_seeds - chance.by_items)

    def with_rows(rows: int) -> Chance:
        less = chance.items / rows
        by_items = min(chance.by_items, chance.between_seeds) * less
        return Chance(chance.seeds, rows, chance.items_shared * less, own + by_items, by_items)

    return _fewest(with_rows, chance, loss, 20, MOST_ROWS)


test_rows_needed.__test__ = False  # type: ignore[attr-defined]


def _fewest(varied: Callable[[int], Chance], chance: Chance, loss: float, low: int, high: int) -> int | None:
    """Bisection over a number that power grows with."""
    if chance.seeds < 2 or chance.variance <= 0 or power(varied(high), loss) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(varied(middle), loss) >= POWER else (middle + 1, high)
    return high


def power(chance: Chance, loss: float) -> float:
    """Chance that a true ``loss`` is told from none by a two-sided test at level .05.

    The other tail is left out: it is negligible, and statsmodels gives NaN for it where the loss is clear. So it does
    for either where the loss is clearer still, tens of standard errors, whatever the degrees of freedom; there the
    normal distribution answers as well.
    """
    from scipy.stats import norm
    from statsmodels.stats.power import TTestPower

    effect = loss / chance.variance**0.5
    found = float(TTestPower().power(effect, 1, ALPHA / 2, df=min(chance.freedom, 1e6), alternative="larger"))
    return float(norm.sf(norm.isf(ALPHA / 2) - effect)) if math.isnan(found) else found
