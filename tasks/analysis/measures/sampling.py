"""The result of a measure: a value, and its standard error if the value is estimated from a sample to save time.

Samples have a fixed seed, so the same set always has the same value.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 0


class Measured(NamedTuple):
    """The value of a measure. ``error`` is its standard error from sampling; 0 if all texts were used."""

    value: float
    error: float = 0.0


def choose(n: int, most: int) -> NDArray[np.intp]:
    """``most`` different numbers below ``n`` in ascending order; all of them if there are no more."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(SEED).choice(n, most, replace=False))


def mean(values: NDArray[np.float32], population: int) -> Measured:
    """Mean of ``values``, a sample without replacement of ``population`` values (Cochran 1977, theorem 2.2).

    A sample needs at least two values.
    """
    n, wide = len(values), values.astype(np.float64)
    error = np.sqrt(wide.var(ddof=1) / n * (1 - n / population)) if n < population else 0.0
    return Measured(float(wide.mean()), float(error))


def mean_of_draws(values: NDArray[np.float64]) -> Measured:
    """Mean of independent estimates of one value, with its standard error. A single estimate counts as exact."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return Measured(float(values.mean()), float(error))
