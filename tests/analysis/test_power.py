import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.power import TTestPower

from tasks.analysis.statistics import power
from tasks.analysis.statistics.power import VarianceParts, seeds_needed


def test_with_seeds_alone_it_is_the_paired_t_test():
    parts = VarianceParts(seeds=4, items=1000, items_shared=0.0, between_seeds=0.03**2, by_items=0.0)
    classic = TTestPower().solve_power(effect_size=0.02 / 0.03, alpha=0.05, power=0.8)
    assert seeds_needed(parts, 0.02) in (int(classic) + 1, int(classic) + 2)
    assert power.test_rows_needed(parts, 0.02) is None  # no number of rows makes up for 4 seeds


def test_with_items_alone_it_is_the_z_test():
    parts = VarianceParts(seeds=3, items=500, items_shared=0.02**2, between_seeds=0.0, by_items=0.0)
    classic = 500 * 0.02**2 * (norm.ppf(0.975) + norm.ppf(0.8)) ** 2 / 0.02**2
    assert power.test_rows_needed(parts, 0.02) == pytest.approx(classic, abs=2)
    assert seeds_needed(parts, 0.02) is None  # no number of seeds makes up for 500 rows


def test_nothing_can_be_said_with_one_seed():
    parts = VarianceParts(1, 500, 0.0001, 0.0, 0.0)
    assert seeds_needed(parts, 0.02) is None
    assert power.test_rows_needed(parts, 0.02) is None


def test_where_nothing_varies_the_rule_of_three_says_how_many_rows():
    assert power.test_rows_needed(VarianceParts(2, 50, 0.0, 0.0, 0.0), 0.02) == 150


small = st.floats(1e-8, 1e-2)


@given(st.integers(2, 20), small, small, small, st.floats(0.001, 0.2))
@example(8, 1e-06, 9.05445546602611e-05, 0.0078125, 0.15234375)  # statsmodels has no power for 43 standard errors
def test_the_answers_are_the_fewest(seeds, items_shared, between, by_items, loss):
    parts = VarianceParts(seeds, 400, items_shared, between, by_items)
    fewest = seeds_needed(parts, loss)
    with_seeds = lambda n: power.power(VarianceParts(n, 400, items_shared, between, by_items), loss)  # noqa: E731
    assert 0 <= power.power(parts, loss) <= 1
    if fewest is None:
        assert with_seeds(power.MOST_SEEDS) < power.POWER
    else:
        assert with_seeds(fewest) >= power.POWER
        assert fewest == 2 or with_seeds(fewest - 1) < power.POWER
