"""Do intervals have their nominal coverage, and are p-values uniform? Simulated studies, one row for each setting.

    python -m benchmarks.coverage --studies 400

Two equally good systems are tested on the same items with several seeds. Each item has a difficulty for both systems
and one for each of them, and each seed changes the skill of a system on all items and on each item. A wrong answer is
another label, often the first. The true score and gap are those over many items and seeds of the population. Prints the
coverage of 95% intervals of the score, of the gap, and of a gap that is not 0; without a difference, the shares of p
below .05 and .01 and the Kolmogorov-Smirnov p of uniformity; how often interval and p-value disagree; and the CPU time
of 200 comparisons.

Exits with 1 if, with 3 seeds or more, the coverage of a setting is outside 93-97% by over three standard errors, or the
mean over all settings is outside that range.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstest
from threadpoolctl import threadpool_limits

from tasks.analysis.statistics.paired import Aligned, gap, score_interval, scores

SHARES = {
    (2, "even"): (0.5, 0.5),
    (2, "uneven"): (0.85, 0.15),
    (4, "even"): (0.25, 0.25, 0.25, 0.25),
    (4, "uneven"): (0.6, 0.2, 0.1, 0.1),
}
"""Share of each label among the items, by number of labels and balance."""
SEED_SDS = {"none": (0.0, 0.0), "small": (0.1, 0.3), "large": (0.5, 0.8)}
"""Standard deviations of the effect of seeds, in logits: on all items together, and on each item."""
COLUMNS = ("score", "gap", "gap .5", "p<.05", "p<.01", "KS", "split")


@dataclass(frozen=True)
class Setting:
    """The simulation of one row of the table."""

    labels: int
    balance: str
    items: int
    seeds: int
    spread: str

    @property
    def truth(self) -> NDArray[np.intp]:
        """(items,) real labels; their shares are fixed, as in a stratified test set."""
        counts = np.rint(np.array(SHARES[self.labels, self.balance]) * self.items).astype(np.intp)
        return np.repeat(np.arange(self.labels), counts)


def systems(
    rng: np.random.Generator, labels: NDArray[np.intp], classes: int, seeds: int, spread: str, advantage: float = 0.0
) -> tuple[Aligned, Aligned]:
    """Predictions of two systems, paired by seed and item. The second system is better by ``advantage`` logits."""
    by_seed, by_both = SEED_SDS[spread]
    hard = rng.normal(0, 1.2, len(labels))
    day = rng.normal(0, by_seed, (seeds, 1))
    found = []
    for skill in (1.3, 1.3 + advantage):
        own = rng.normal(0, 0.7, len(labels)) + rng.normal(0, by_seed, (seeds, 1)) * 0.8 + day * 0.6
        chance = skill + hard + own + rng.normal(0, by_both, (seeds, len(labels)))
        right = chance + rng.logistic(0, 1, (1, len(labels))) > 0
        wrong = np.where(rng.random((seeds, len(labels))) < 0.5, 0, rng.integers(0, classes, (seeds, len(labels))))
        wrong = np.where(wrong == labels, (labels + 1) % classes, wrong)
        found.append(Aligned(labels, np.where(right, labels, wrong), classes))
    return found[0], found[1]


@lru_cache
def population(setting: Setting, advantage: float) -> tuple[float, float]:
    """(score of the first system, its gap to the second) over 400 seeds, each with its own items."""
    rng = np.random.default_rng(1)
    labels = setting.truth
    both = [systems(rng, labels, setting.labels, 1, setting.spread, advantage) for _ in range(400)]
    ours, theirs = (np.array([scores(pair[side], "macro_f1")[0] for pair in both]) for side in (0, 1))
    return float(ours.mean()), float((ours - theirs).mean())


def simulate(setting: Setting, studies: int, resamples: int) -> dict[str, float]:
    """A row of the table: shares over simulated studies."""
    whole = replace(setting, items=5000, seeds=1)
    score, _ = population(whole, 0.0)
    _, loss = population(whole, 0.5)
    labels, rng = setting.truth, np.random.default_rng(list(repr(setting).encode()))
    kept = []
    for _ in range(studies):
        shape = labels, setting.labels, setting.seeds, setting.spread
        ours, theirs = systems(rng, *shape)
        own = score_interval(ours, "macro_f1", resamples=resamples)
        even = gap(ours, theirs, resamples=resamples)
        lost = gap(*systems(rng, *shape, advantage=0.5), resamples=resamples)
        kept.append(
            (
                own.low <= score <= own.high,
                even.low <= 0 <= even.high,
                lost.low <= loss <= lost.high,
                even.p < 0.05,
                even.p < 0.01,
                (even.low > 0 or even.high < 0) != (even.p < 0.05),
                even.p,
            )
        )
    *shares, p_values = np.array(kept, dtype=float).T
    means = [float(share.mean()) for share in shares]
    return dict(zip(COLUMNS, [*means[:5], float(kstest(p_values, "uniform").pvalue), means[5]], strict=True))


def settings(seeds: list[int], items: list[int]) -> Iterator[Setting]:
    """All settings of the benchmark."""
    for labels, balance in SHARES:
        for spread, n, s in itertools.product(SEED_SDS, items, seeds):
            yield Setting(labels, balance, n, s, spread)


def speed() -> float:
    """CPU seconds of 200 comparisons (two intervals and a gap each) of 5 seeds on 1,000 test rows with 2 labels."""
    setting = Setting(2, "even", 1000, 5, "small")
    rng = np.random.default_rng(0)
    drawn = [systems(rng, setting.truth, 2, 5, "small") for _ in range(200)]
    started = time.process_time()
    for ours, theirs in drawn:
        score_interval(ours, "macro_f1")
        score_interval(ours, "accuracy")
        gap(ours, theirs, 0.02)
    return time.process_time() - started


def main() -> int:
    """Print the table; returns 1 if the coverage of an interval is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="simulated studies a setting")
    parser.add_argument("--resamples", type=int, default=1000, help="resamples of each interval")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--items", type=int, nargs="+", default=[100, 300, 1000])
    chosen = parser.parse_args()
    allowed = 3 * (0.95 * 0.05 / chosen.studies) ** 0.5
    print("labels balance items seeds spread | " + " ".join(f"{name:>6}" for name in COLUMNS), flush=True)
    failed = 0
    rows: dict[int, list[dict[str, float]]] = {}
    with threadpool_limits(limits=1, user_api="blas"):
        for setting in settings(chosen.seeds, chosen.items):
            row = simulate(setting, chosen.studies, chosen.resamples)
            held = all(0.93 - allowed <= row[name] <= 0.97 + allowed for name in COLUMNS[:3])
            failed += not held and setting.seeds > 2
            rows.setdefault(setting.seeds, []).append(row)
            size = f"{setting.labels:>6} {setting.balance:>7} {setting.items:>5} {setting.seeds:>5}"
            shown = " ".join(f"{value:6.3f}" for value in row.values())
            print(f"{size} {setting.spread:>6} | {shown}", "" if held else "!", flush=True)
        for seeds, found in rows.items():
            mean = {name: float(np.mean([row[name] for row in found])) for name in COLUMNS}
            failed += seeds > 2 and not all(0.93 <= mean[name] <= 0.97 for name in COLUMNS[:3])
            print(f"{'mean':>20} {seeds:>5} {'':>6} | " + " ".join(f"{value:6.3f}" for value in mean.values()))
        print(f"200 comparisons of 5 seeds on 1,000 test rows: {speed():.1f} CPU seconds")
    print(f"{failed} rows with 3 seeds or more do not hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
