import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tasks.analysis import statistics
from tasks.analysis.statistics import Paired, gap, holm, score_interval, scores


@st.composite
def samples(draw):
    classes, items, seeds = draw(st.integers(2, 4)), draw(st.integers(1, 25)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return Paired(rng.integers(0, classes, items), rng.integers(0, classes, (seeds, items)), classes)


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
        found.append(Paired(labels, np.where(right, labels, wrong), classes))
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
def test_a_resample_scores_like_the_items_it_repeats(sample, seed):
    weights = statistics._weights(sample.labels, 3, np.random.default_rng(seed))
    assert np.array_equal(weights @ np.eye(sample.classes)[sample.labels], np.tile(
        np.bincount(sample.labels, minlength=sample.classes), (3, 1)
    ))  # fmt: skip
    for metric, weighted in statistics.METRICS.items():
        found = weighted(sample.labels, sample.predicted, sample.classes, weights)
        for row, weight in zip(found, weights.astype(int), strict=True):
            again = Paired(
                np.repeat(sample.labels, weight), np.repeat(sample.predicted, weight, axis=1), sample.classes
            )
            assert row == pytest.approx(scores(again, metric))


@given(samples(), st.integers(0, 100))
def test_swapping_is_what_it_says(sample, seed):
    rng = np.random.default_rng(seed)
    other = Paired(sample.labels, rng.integers(0, sample.classes, sample.predicted.shape), sample.classes)
    swap = rng.integers(0, 2, (2, len(sample.labels))).astype(float)
    found = statistics._swapped(sample, other, swap)
    for row, mask in zip(found, swap, strict=True):
        mixed = Paired(sample.labels, np.where(mask == 1, other.predicted, sample.predicted), sample.classes)
        assert row == pytest.approx(scores(mixed, "macro_f1"))


@given(samples())
def test_intervals_are_finite_and_hold_to_the_scale(sample):
    for metric in statistics.METRICS:
        found = score_interval(sample, metric, resamples=50)
        assert 0 <= found.low <= found.high <= 1
    against = gap(sample, sample, resamples=50)
    assert (against.mean, against.p) == (0.0, 1.0)
    assert against.low == against.high == 0


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
        (found := score_interval(Paired(labels, predicted, 2), "accuracy", resamples=400)).high - found.low
        for predicted in (steady, restless)
    ]
    assert widths[1] > 2 * widths[0]


def test_a_clear_loss_is_found():
    labels = np.arange(600) % 2
    rng = np.random.default_rng(1)
    good, bad = (np.where(rng.random((3, 600)) < share, labels, 1 - labels) for share in (0.95, 0.7))
    found = gap(Paired(labels, bad, 2), Paired(labels, good, 2), resamples=500)
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


def coverage(*, studies, items, seeds, seed_sd, resamples):
    """Shares of studies whose score and gap intervals hold the truth, and their p-values."""
    rng = np.random.default_rng([items, seeds])
    many = np.arange(100_000) % 2
    truth = np.mean([scores(models(rng, many, seeds=1, seed_sd=seed_sd)[0], "macro_f1") for _ in range(100)])
    labels = np.arange(items) % 2
    score_held, gap_held, p_values = 0, 0, []
    for study in range(studies):
        ours, theirs = models(rng, labels, seeds=seeds, count=2, seed_sd=seed_sd)
        score = score_interval(ours, "macro_f1", seed=study, resamples=resamples)
        found = gap(ours, theirs, seed=study, resamples=resamples)
        score_held += score.low <= truth <= score.high
        gap_held += found.low <= 0 <= found.high
        p_values.append(found.p)
    return score_held / studies, gap_held / studies, np.array(p_values)


def test_intervals_and_p_values_hold_in_a_small_simulation():
    score, between, p_values = coverage(studies=120, items=120, seeds=3, seed_sd=0.15, resamples=200)
    assert score > 0.89
    assert between > 0.89
    assert np.mean(p_values < 0.05) < 0.11
    assert np.mean(p_values < 0.5) > 0.3
