import json
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis.statistics.paired import ROUNDING, Aligned, score_interval
from tasks.analysis.subjectivity.curves import MAX_POINTS, MIN_ITEMS, make_curves, thresholds
from tasks.errors import RunError
from tasks.records import Trial
from tasks.store import Store
from tests.analysis.walk import assert_finite
from tests.arms import COUNTS, make_arm

ITEMS = [f"{i:04}" for i in range(400)]
LABELS = ["a" if i % 2 else "b" for i in range(400)]


@pytest.fixture
def write(tmp_path):
    """Stores a trial that is right on the items where ``right`` (items,) says so."""
    store = Store(str(tmp_path))

    def trial(mode, seed, right, **fields):
        values = {
            "key": f"{mode}-{seed}-{fields.get('n_train', 100)}",
            "seed": seed,
            "status": "ok",
            "n_train": 100,
            "n_test": 400,
            "label_counts": COUNTS,
        } | fields
        lines = [
            {"item": item, "label": label, "predicted": label if ok else "ab"[label == "a"]}
            for item, label, ok in zip(ITEMS, LABELS, right, strict=False)
        ]
        lines = [json.dumps(line | {"probabilities": [], "agreement": None}) + "\n" for line in lines]
        store.put("trials", values["key"], {}, {"predictions.jsonl": "".join(lines).encode()})
        counts, real = values["label_counts"], mode.startswith("real")
        # real rows of another number are those beside a synthesis that fell short
        size, rows = (None, counts) if real and counts != COUNTS else (50, COUNTS)
        return Trial(arm=make_arm("t", mode, None if real else "llm", rows=rows, size=size), **values)

    return trial, store


def simulate(seed, slope, agreement, level=0.9):
    """Right with a chance that falls by ``slope`` from full agreement to a split vote."""
    rng = np.random.default_rng(seed)
    return rng.random(len(agreement)) < level - slope * 2 * (1 - agreement)


def votes(seed=0, k=5):
    """Agreement of ``k`` raters of whom each errs by an item's own difficulty."""
    rng = np.random.default_rng(seed)
    yes = rng.binomial(k, rng.beta(2, 0.7, len(ITEMS)))
    return np.maximum(yes, k - yes) / k


def by_item(shares):
    return {"t": dict(zip(ITEMS, shares.tolist(), strict=False))}


def test_curves_of_noisy_raters_rise_and_more_steeply_after_synthetic_rows(write):
    trial, store = write
    shares = votes()
    trials = [trial("real", s, simulate(s, 0.1, shares)) for s in range(3)]
    trials += [trial("zero_shot", s, simulate(9 + s, 0.5, shares)) for s in range(3)]
    real, zero = make_curves(trials, by_item(shares), store)
    assert_finite([real, zero])
    assert [p.gamma for p in real.points] == [0.6, 0.8, 1.0]
    assert [p.items for p in zero.points] == [(shares >= gamma - 1e-9).sum() for gamma in (0.6, 0.8, 1.0)]
    accuracies = [p.accuracy.mean for p in zero.points]
    assert accuracies == sorted(accuracies)
    assert zero.slope.low > 0
    assert zero.slope.mean == pytest.approx(accuracies[-1] - accuracies[0])
    assert real.steeper is None
    assert zero.steeper.low > 0
    assert zero.steeper.mean == pytest.approx(zero.slope.mean - real.slope.mean)


def test_a_point_is_the_score_of_its_rows(write):
    trial, store = write
    shares, right = votes(), [simulate(s, 0.3, votes()) for s in range(2)]
    (curve,) = make_curves([trial("real", s, right[s]) for s in range(2)], by_item(shares), store)
    last = shares >= curve.points[-1].gamma
    labels = np.array([label == "b" for label in LABELS]).astype(int)
    predicted = np.where(right, labels, 1 - labels)
    expected = score_interval(Aligned(labels[last], predicted[:, last], 2), "accuracy")
    assert astuple(curve.points[-1].accuracy) == pytest.approx(astuple(expected), abs=ROUNDING)


def test_equal_slopes_are_not_called_steeper_too_often(write):
    trial, store = write
    misses = 0
    for study in range(30):
        shares = votes(study)
        seeds = [100 * study + s for s in range(4)]
        trials = [trial("real" if i < 2 else "few_shot", i % 2, simulate(s, 0.3, shares)) for i, s in enumerate(seeds)]
        misses += abs((few := make_curves(trials, by_item(shares), store)[1].steeper).mean) > few.high - few.mean
    assert misses <= 5


def test_pairing_is_by_seed_and_size(write):
    trial, store = write
    shares, short = votes(), {"a": 50, "b": 31}
    zero = [trial("zero_shot", s, simulate(s, 0.5, shares), label_counts=short, n_train=81) for s in range(2)]
    real = [trial("real", s, simulate(5 + s, 0.1, shares)) for s in range(2)]
    curves = make_curves([*zero, *real], by_item(shares), store)
    assert curves[0].steeper is None
    assert curves[0].slope is not None
    matched = [trial("real", s, simulate(7 + s, 0.1, shares), label_counts=short, n_train=81) for s in range(2)]
    curves = make_curves([*zero, *real, *matched], by_item(shares), store)
    assert curves[0].steeper is not None
    assert [(c.arm.mode, c.points[0].accuracy.mean) for c in curves[1:]] == [
        ("real", pytest.approx(np.mean([simulate(5 + s, 0.1, shares).mean() for s in range(2)])))
    ]


def test_without_raters_there_is_a_reason_and_no_curve(write):
    trial, store = write
    (curve,) = make_curves([trial("real", 0, [True] * 400)], {}, store)
    assert (curve.points, curve.slope, curve.steeper) == ((), None, None)
    assert curve.note == "nobody rated the test rows: the data has no raters and the study names no annotators"


def test_failed_trials_and_few_rated_rows_are_said(write):
    trial, store = write
    lost = trial("zero_shot", 0, [], status="failed")
    few = trial("few_shot", 0, [True] * (MIN_ITEMS - 1))
    curves = make_curves([lost, few], by_item(votes()), store)
    assert [c.note for c in curves] == ["no trial finished", "19 rated test rows; a point needs at least 20"]
    assert [c.points for c in curves] == [(), ()]


def test_raters_who_agree_give_one_point_and_no_slope(write):
    trial, store = write
    (curve,) = make_curves([trial("real", 0, [True] * 400)], by_item(np.ones(400)), store)
    assert_finite(curve)
    assert [p.gamma for p in curve.points] == [1.0]
    assert curve.slope is None
    assert curve.note == "no slope: it needs 20 test rows with less agreement, and 0 of 400 have less"


def test_rows_that_nobody_rated_do_not_count(write):
    trial, store = write
    rated = {"t": dict.fromkeys(ITEMS[:30], 0.6) | dict.fromkeys(ITEMS[30:100], 1.0) | {"elsewhere": 0.2}}
    right = [i < 100 for i in range(400)]
    (curve,) = make_curves([trial("real", 0, right)], rated, store)
    assert [(p.items, p.accuracy.mean) for p in curve.points] == [(100, 1.0), (70, 1.0)]
    assert curve.note == "one seed: the intervals do not cover differences between trainings"


@given(st.lists(st.integers(1, 30), min_size=MIN_ITEMS, max_size=200))
def test_thresholds_rise_and_each_leaves_enough_rows(counts):
    shares = np.array(counts) / 30
    found = thresholds(shares)
    assert 1 <= len(found) <= MAX_POINTS
    assert found == sorted(set(found))
    assert found[0] == shares.min()
    assert all((shares >= gamma).sum() >= MIN_ITEMS and gamma in shares for gamma in found)
    assert (shares > found[-1]).sum() < MIN_ITEMS


def test_two_thirds_is_one_threshold_however_it_was_rounded(write):
    trial, store = write
    shares = np.where(np.arange(400) < 100, 2 / 3, np.where(np.arange(400) < 200, 0.66666667, 1.0))
    (curve,) = make_curves([trial("real", 0, [True] * 400)], by_item(shares), store)
    assert [p.items for p in curve.points] == [400, 200]


def test_predictions_that_are_gone_are_one_line(write):
    trial, store = write
    made = [trial("real", 0, [True] * 400), trial("few_shot", 0, [True] * 400)]
    store.delete("trials", made[1].key)
    with pytest.raises(RunError, match=r"there is no trials/few_shot-0-100; run the study again"):
        make_curves(made, by_item(votes()), store)
