import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from tasks.analysis.statistics import paired
from tasks.analysis.statistics.paired import Aligned, gap, holm, score_interval, scores


@st.composite
def samples(draw):
    classes, items, seeds = draw(st.integers(2, 4)), draw(st.integers(1, 25)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return Aligned(rng.integers(0, classes, items), rng.integers(0, classes, (seeds, items)), classes)


def models(rng, labels, *, seeds, classes=2, count=1, seed_sd=0.0, mode_sd=1.0):
    """Predictions of several modes that are equally good on average.

    An item is hard for all of them, harder for some mode, and each seed of a mode has a good or a bad day.
    """
    items = len(labels)
    hard = rng.normal(0, 1.5, items)
    found = []
    for _ in range(count):
        skill = 1.3 + hard + rng.normal(0, mode_sd, items) + rng.normal(0, seed_sd, seeds)[:, None]
        right = skill + rng.logistic(0, 1, (seeds, items)) > 0
        wrong = (labels + rng.integers(1, classes, (seeds, items))) % classes
        found.append(Aligned(labels, np.where(right, labels, wrong), classes))
    return found


@given(samples())
def test_macro_f1_is_sklearn_s(sample):
    present = np.unique(sample.labels)
    expected = [
        f1_score(sample.labels, predicted, labels=present, average="macro", zero_division=0)
        for predicted in sample.predicted
    ]
    assert scores(sample, "macro_f1") == pytest.approx(expected)


@given(samples(), st.integers(0, 100))
def test_a_weight_repeats_an_item(sample, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sample.labels))
    shuffled = order[np.argsort(sample.labels[order], kind="stable")]
    repeats = np.ones(len(order), dtype=int)
    for first, second in itertools.pairwise(shuffled):
        if sample.labels[first] == sample.labels[second] and repeats[first] and repeats[second] == 1:
            repeats[[first, second]] = 0, repeats[first] + 1  # the label counts stay
    again = Aligned(np.repeat(sample.labels, repeats), np.repeat(sample.predicted, repeats, axis=1), sample.classes)
    weighted = repeats[None].astype(np.float32) @ paired._indicators(sample)
    for metric in paired.METRICS:
        assert paired._from_counts(weighted, sample, metric)[0] == pytest.approx(scores(again, metric))


@given(samples(), st.integers(0, 100))
def test_resamples_hold_to_the_label_counts(sample, seed):
    weights = paired._weights(sample.labels, 3, seed)
    for label, n in enumerate(np.bincount(sample.labels)):
        assert weights[:, sample.labels == label].sum(axis=1) == pytest.approx(n)


@given(samples(), st.integers(0, 100))
def test_swapping_is_what_it_says(sample, seed):
    rng = np.random.default_rng(seed)
    other = Aligned(sample.labels, rng.integers(0, sample.classes, sample.predicted.shape), sample.classes)
    swap = rng.integers(0, 2, (2, len(sample.labels)), dtype=np.uint8)
    for mine, yours, mask in zip(*paired._swapped(sample, other, swap), swap, strict=True):
        for found, kept, moved in ((mine, sample, other), (yours, other, sample)):
            mixed = Aligned(sample.labels, np.where(mask == 1, moved.predicted, kept.predicted), sample.classes)
            assert found == pytest.approx(scores(mixed, "macro_f1"))


@given(samples())
def test_intervals_are_finite_and_hold_to_the_scale(sample):
    for metric in paired.METRICS:
        found = score_interval(sample, metric, resamples=50)
        assert 0 <= found.low <= found.high <= 1
    against = gap(sample, sample, resamples=50)
    assert (against.mean, against.p) == (0.0, 1.0)
    assert (against.effect, against.seeds_needed) == (None, None)
    least = min(1.0, 3 / len(sample.labels))  # no difference was seen: the rule of three
    assert (against.low, against.high) == pytest.approx((-least, least))


def test_the_same_seed_gives_the_same_numbers():
    (sample, other) = models(np.random.default_rng(0), np.arange(100) % 2, seeds=2, count=2)
    assert gap(sample, other, seed=5, resamples=100) == gap(sample, other, seed=5, resamples=100)
    assert gap(sample, other, seed=5, resamples=100) != gap(sample, other, seed=6, resamples=100)


def test_more_test_items_narrow_the_interval():
    rng = np.random.default_rng(0)
    widths = []
    for items in (100, 1600):
        (sample,) = models(rng, np.arange(items) % 2, seeds=3)
        found = score_interval(sample, "macro_f1", resamples=400)
        widths.append(found.high - found.low)
    assert widths[1] < 0.6 * widths[0]


def test_seeds_that_disagree_widen_the_interval():
    labels = np.arange(400) % 2
    rng = np.random.default_rng(0)
    steady = np.where(rng.random((1, 400)) < 0.8, labels, 1 - labels).repeat(3, axis=0)
    restless = np.stack([np.where(rng.random(400) < share, labels, 1 - labels) for share in (0.7, 0.8, 0.9)])
    widths = [
        (found := score_interval(Aligned(labels, predicted, 2), "accuracy", resamples=400)).high - found.low
        for predicted in (steady, restless)
    ]
    assert widths[1] > 2 * widths[0]


def test_a_clear_loss_is_found():
    labels = np.arange(600) % 2
    rng = np.random.default_rng(1)
    good, bad = (np.where(rng.random((3, 600)) < share, labels, 1 - labels) for share in (0.95, 0.7))
    found = gap(Aligned(labels, bad, 2), Aligned(labels, good, 2), resamples=500)
    assert found.high < -0.15
    assert found.p < 0.01


def test_holm_agrees_with_the_definition():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_it_is_fast_enough():
    sample, other = models(np.random.default_rng(0), np.arange(1000) % 2, seeds=3, count=2)
    started = time.process_time()
    gap(sample, other)
    assert time.process_time() - started < 3  # 0.3 s of one quiet core


def flips(rng, seeds, items=200, *, by_seed, by_item=0.6):
    """Predictions of two equally good systems: items of their own difficulty, seeds with good and bad days."""
    labels = np.arange(items) % 2
    hard = rng.normal(1.3, 1.2, items)
    found = []
    for _ in range(2):
        own = rng.normal(0, by_item, items) + rng.normal(0, by_seed, (seeds, 1)) + rng.logistic(0, 1, items)
        right = hard + own + rng.normal(0, 0.3, (seeds, items)) > 0
        found.append(Aligned(labels, np.where(right, labels, 1 - labels), 2))
    return found


SIMULATED = ((3, 0.05), (3, 0.5), (5, 0.3))
"""Seeds, and their spread in logits."""


@pytest.fixture(scope="module")
def simulated():
    """Gaps of 600 pairs of equally good systems."""
    with threadpool_limits(limits=1, user_api="blas"):
        found = []
        for seeds, by_seed in SIMULATED:
            rng = np.random.default_rng([seeds, int(100 * by_seed)])
            found += [gap(*flips(rng, seeds, by_seed=by_seed), resamples=400) for _ in range(200)]
        return found


def covered(gaps, narrowed=1.0):
    return np.mean([g.mean - narrowed * (g.mean - g.low) <= 0 <= g.mean + narrowed * (g.high - g.mean) for g in gaps])


def test_intervals_cover_in_a_small_simulation(simulated):
    assert 0.93 <= covered(simulated) <= 0.98
    assert covered(simulated, narrowed=0.7) < 0.93  # the test can tell intervals that are 30% too narrow


def test_p_values_are_uniform_in_a_small_simulation(simulated):
    p_values = np.array([g.p for g in simulated])
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert 0.025 < np.mean(p_values < 0.05) < 0.075


def test_intervals_and_p_values_agree(simulated):
    assert np.mean([(g.low > 0 or g.high < 0) != (g.p < 0.05) for g in simulated]) < 0.04


def test_the_effect_is_in_standard_deviations_of_seeds():
    labels = np.arange(200) % 2
    wrong = [Aligned(labels, np.stack([np.where(np.arange(200) < n, 1 - labels, labels) for n in of]), 2) for of in
             ((20, 30, 40), (10, 10, 10))]  # fmt: skip
    assert gap(*wrong, resamples=50).effect == pytest.approx(-0.1 / 0.05, rel=1e-6)


def test_a_perfect_score_is_not_certain():
    labels = np.arange(60) % 2
    found = score_interval(Aligned(labels, labels[None], 2), "macro_f1")
    assert (found.low, found.high) == pytest.approx((0.95, 1.0))


def test_a_classifier_that_says_one_label_has_a_score():
    labels = np.arange(60) % 2
    found = score_interval(Aligned(labels, np.zeros((2, 60), dtype=int), 2), "macro_f1")
    assert found.mean == pytest.approx(1 / 3)
    assert found.low < 1 / 3 < found.high


def test_one_seed_has_no_effect_size_and_no_advice():
    found = gap(*flips(np.random.default_rng(0), 1, by_seed=0.1), 0.02, resamples=100)
    assert (found.effect, found.seeds_needed, found.test_rows_needed) == (None, None, None)
    assert found.low < found.mean < found.high
