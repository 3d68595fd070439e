from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.analysis.subjectivity import association
from tasks.analysis.subjectivity.association import associate, correlate, kendall, spearman
from tasks.config import ImportConfig
from tasks.records import Comparison, Gap, Interval, TaskSubjectivity, configured
from tests.analysis.walk import assert_finite
from tests.arms import make_arm

values = st.lists(st.integers(-5, 5), min_size=3, max_size=7)


def compared(task, gap, mode="zero_shot"):
    found = None if gap is None else Gap(gap, gap - 0.1, gap + 0.1, 0.5, 0.5)
    return Comparison(make_arm(task, mode), (0,), None, None, found, "none", "")


def subjective(task, strength=None, agreement=None, source="annotators"):
    return TaskSubjectivity(
        task,
        source,
        strength=None if strength is None else Interval(strength, strength - 1, strength + 1),
        mean_agreement=None if agreement is None else Interval(agreement, 0.0, 1.0),
    )


@given(values, st.randoms(use_true_random=False))
def test_correlations_are_scipy_s(x, random):
    y = random.sample(x, len(x))
    for statistic, theirs in ((spearman, stats.spearmanr), (kendall, stats.kendalltau)):
        found = associate(x, y, statistic)
        if len(set(x)) < 2:
            assert found is None
            continue
        assert_finite(found)
        assert found.value == pytest.approx(theirs(x, y).statistic)
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert 0 < found.p <= 1


@given(values.filter(lambda x: len(set(x)) > 1), st.integers(0, 100))
def test_the_other_way_round_it_is_the_same_with_the_other_sign(x, seed):
    y = np.random.default_rng(seed).permutation(len(x)).tolist()
    for statistic in (spearman, kendall):
        one, other = associate(x, y, statistic), associate(x, [-value for value in y], statistic)
        assert one.value == pytest.approx(-other.value)
        assert one.low == pytest.approx(-other.high)
        assert one.p == pytest.approx(other.p)


def test_exact_p_values_by_hand():
    # of the 4! orders of four tasks one is the same and one the reverse
    assert associate([1, 2, 3, 4], [5, 6, 7, 8], spearman).p == pytest.approx(2 / 24)
    assert associate([1, 2, 3], [3, 2, 1], kendall).p == pytest.approx(2 / 6)


@pytest.mark.parametrize("statistic", [spearman, kendall])
def test_values_that_differ_by_rounding_are_tied(statistic):
    assert associate([0.1, 0.1 + 1e-12, 0.1 - 1e-13, 0.1], [1, 2, 3, 4], statistic) is None
    noisy, exact = [0.3, 0.1 + 0.2, 0.5, 0.7], [0.3, 0.3, 0.5, 0.7]
    assert associate(noisy, [2, 1, 3, 4], statistic) == associate(exact, [2, 1, 3, 4], statistic)


def test_three_tasks_in_order_exclude_little():
    found = associate([1, 2, 3], [3, 2, 1], spearman)
    assert (found.value, found.low) == pytest.approx((-1, -1))
    assert found.high > 0.5


def test_no_correlation_gives_uniform_p_values():
    """Up to the steps between the few values that six ranks can have, which make large p-values larger."""
    rng = np.random.default_rng(0)
    p_values = np.array([associate(*rng.random((2, 6)), spearman).p for _ in range(400)])
    for level in (0.05, 0.2, 0.4):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=0.07)
    assert 0.6 < np.mean(p_values <= 0.8) < 0.87


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("n", [5, 10])
def test_intervals_hold_the_true_correlation(rho, n):
    rng = np.random.default_rng([n, int(100 * rho)])
    truths = {spearman: 6 / np.pi * np.arcsin(rho / 2), kendall: 2 / np.pi * np.arcsin(rho)}
    for statistic, truth in truths.items():
        held = []
        for _ in range(300):
            x, e = rng.standard_normal((2, n))
            value = statistic(x, rho * x + np.sqrt(1 - rho**2) * e).item()
            low, high = association._interval(value, n, statistic)
            held.append(low <= truth <= high)
        assert np.mean(held) > 0.92


def test_one_correlation_for_each_group_and_measure():
    comparisons = [
        compared(f"t{i}", gap, mode)
        for mode in ("zero_shot", "few_shot")
        for i, gap in enumerate([-0.1, -0.2, -0.3, -0.4, -0.6])
    ]
    found = correlate(comparisons, [subjective(f"t{i}", i - 2, 1 - i / 20) for i in range(5)])
    assert [(c.arm.mode, c.measure, c.tasks) for c in found] == [
        ("zero_shot", "strength", 5),
        ("zero_shot", "disagreement", 5),
        ("few_shot", "strength", 5),
        ("few_shot", "disagreement", 5),
    ]
    assert [c.spearman.value for c in found] == [c.kendall.value for c in found] == pytest.approx([-1] * 4)
    assert all(c.spearman.high < 0 for c in found)


def test_an_import_is_one_source_over_tasks_whatever_its_columns_are_called():
    imports = [ImportConfig(name="llama2", task=f"t{i}", file=f"{i}.csv", text=f"text{i}") for i in range(4)]
    rows = [compared(item.task, -0.1 * i, "imported") for i, item in enumerate(imports)]
    rows = [
        replace(row, arm=replace(row.arm, source=configured(item, imports)))
        for row, item in zip(rows, imports, strict=True)
    ]
    found = correlate(rows, [subjective(f"t{i}", i - 1.5, 1 - i / 20) for i in range(4)])
    assert [(item.arm.source_label, item.tasks) for item in found] == [("llama2", 4), ("llama2", 4)]


def test_what_is_missing_is_said():
    comparisons = [compared("a", -0.1), compared("b", -0.2), compared("c", None)]
    strength, disagreement = correlate(comparisons, [subjective("a", 1.0), subjective("b", 0.0), subjective("c", -1.0)])
    assert (strength.spearman, strength.kendall, strength.tasks) == (None, None, 2)
    assert strength.note == "2 tasks have both a gap and a measured strength; a correlation needs at least 3"
    assert disagreement.note.startswith("0 tasks have both a gap and a measured disagreement")


def test_equal_gaps_have_no_correlation():
    tasks = [subjective(name, i) for i, name in enumerate("abcd")]
    assert "same gap" in correlate([compared(name, -0.1) for name in "abcd"], tasks)[0].note
    partial = correlate([compared(name, -0.1 * i) for i, name in enumerate("abcde")], tasks)[0]
    assert partial.tasks == 4
    assert partial.note == "without e: no measured strength"


def test_two_kinds_of_raters_on_one_scale_are_said():
    tasks = [subjective(name, i, 0.9 - i / 10, "raters" if i else "annotators") for i, name in enumerate("abc")]
    strength, disagreement = correlate([compared(name, -i) for i, name in enumerate("abc")], tasks)
    assert strength.note == ""
    assert disagreement.note == "some tasks were rated by the data's own raters, others by annotators"
