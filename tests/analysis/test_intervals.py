import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.analysis.statistics.intervals import mean_interval, slope_interval
from tests.analysis.walk import assert_finite


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_the_mean_s_interval_is_student_s(values):
    found = mean_interval(values)
    assert_finite(found)
    assert found.low <= found.mean <= found.high
    if np.std(values) > 1e-6:
        expected = stats.ttest_1samp(values, 0).confidence_interval()
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_value_has_no_interval():
    assert mean_interval([0.3]) is None
    assert mean_interval([]) is None


@given(st.integers(1, 4), st.integers(2, 9), st.integers(2, 9), st.integers(0, 1000))
def test_a_slope_is_a_difference_of_means(seeds, above, below, seed):
    values = np.random.default_rng(seed).integers(0, 2, (seeds, above + below)).astype(float)
    upper = np.arange(above + below) < above
    found = slope_interval(values, upper)
    assert_finite(found)
    assert found.mean == pytest.approx(values[:, :above].mean() - values.mean())
    assert found.low <= found.mean <= found.high


def test_one_seed_is_close_to_welch_s_test_scaled():
    rng = np.random.default_rng(1)
    values, upper = rng.random((1, 50)), np.arange(50) < 20
    found = slope_interval(values, upper)
    welch = stats.ttest_ind(values[0, :20], values[0, 20:], equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((0.6 * welch.low, 0.6 * welch.high), abs=0.005)


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (2, 0.4), (3, 0.0), (3, 0.4), (5, 0.4)])
def test_slopes_hold_the_truth_in_19_of_20_studies(seeds, seed_sd):
    """Seeds differ in how much harder the disputed items are for them; the truth is the same for all."""
    rng = np.random.default_rng(seeds)
    upper = np.arange(200) < 120

    def draw(seeds, items, mask):
        easy = rng.normal(0, 1, items) + np.where(mask, 1.5, 0.5 + rng.normal(0, seed_sd, (seeds, 1)))
        return (easy + rng.logistic(0, 1, (seeds, items)) > 0).astype(float)

    wide = np.arange(100_000) % 5 < 3
    large = draw(100, len(wide), wide)
    truth = large[:, wide].mean() - large.mean()
    found = [slope_interval(draw(seeds, 200, upper), upper) for _ in range(400)]
    assert 0.92 < np.mean([interval.low <= truth <= interval.high for interval in found]) <= 0.995
