"""What a measure gives: a value, and its standard error where it is estimated from a sample to save time.

Samples are drawn with one fixed seed, so that a set measured twice has the same value twice.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 0


class Measured(NamedTuple):
    """A measure's value. ``error`` is the standard error of its estimation; 0 where every text was looked at."""

    value: float
    error: float = 0.0


def choose(n: int, most: int) -> NDArray[np.intp]:
    """``most`` of the numbers below ``n``, ascending and without repetition; all of them when there are no more."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(SEED).choice(n, most, replace=False))


def mean(values: NDArray[np.float32], population: int) -> Measured:
    """Mean of ``values``, which were drawn without repetition from ``population`` ones (Cochran 1977, theorem 2.2).

    Two values at least, unless they are all there is.
    """
    n, wide = len(values), values.astype(np.float64)
    error = np.sqrt(wide.var(ddof=1) / n * (1 - n / population)) if n < population else 0.0
    return Measured(float(wide.mean()), float(error))


def mean_of_draws(values: NDArray[np.float64]) -> Measured:
    """Mean of independent estimates of one value, with its standard error; a single one is taken to be exact."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return Measured(float(values.mean()), float(error))
