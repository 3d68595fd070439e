import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.analysis.measures import similarity
from tasks.analysis.measures.similarity import MEASURES, top_similarity
from tasks.analysis.measures.two_sample import discriminator_auc, mmd
from tests.analysis.vectors import unit

seeds = st.integers(0, 10**6)


def aside(rows, seed, by):
    """Vectors of length one that lie ``by`` in one direction."""
    vectors = unit(rows, seed) + by * np.eye(1, 8, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(5, 33), st.integers(1, 12), seeds)
def test_top_similarity_is_its_definition(synthetic, real, seed):
    ours, theirs = unit(synthetic, seed), unit(real, seed + 1)
    expected = np.mean([np.sort(row)[-5:].mean() for row in theirs @ ours.T])
    assert top_similarity(ours, theirs) == (pytest.approx(expected, abs=1e-5), 0)


@given(st.integers(2, 20), st.integers(2, 20), seeds)
def test_mmd_is_its_definition(synthetic, real, seed):
    ours, theirs = unit(synthetic, seed).astype(np.float64), unit(real, seed + 1).astype(np.float64)

    def kernel(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(2) / (2 * width**2))

    def others(square):
        return square[~np.eye(len(square), dtype=bool)]

    width = np.median([np.linalg.norm(theirs[i] - theirs[j]) for i in range(real) for j in range(i)])
    expected = others(kernel(ours, ours)).mean() + others(kernel(theirs, theirs)).mean()
    between = kernel(ours, theirs).mean()
    assert mmd(ours, theirs) == (pytest.approx(expected - 2 * between, abs=1e-5), 0)


@given(st.integers(5, 25), st.integers(5, 25), seeds)
@settings(max_examples=20, deadline=None)
def test_order_does_not_matter_and_bounds_hold(synthetic, real, seed):
    ours, theirs = unit(synthetic, seed), unit(real, seed + 1)
    rng = np.random.default_rng(seed)
    mixed = rng.permutation(ours), rng.permutation(theirs)
    for name in ("top_5", "top_5_back", "mmd"):
        assert MEASURES[name](*mixed).value == pytest.approx(MEASURES[name](ours, theirs).value, abs=1e-5)
        assert -1 <= MEASURES[name](ours, theirs).value <= 2
    area = discriminator_auc(ours, theirs)
    assert 0 <= area.value <= 1
    assert 0 <= area.error <= 0.5


def test_copies_are_as_similar_as_can_be():
    same = unit(1, 0).repeat(6, axis=0)
    assert top_similarity(same, same).value == pytest.approx(1, abs=1e-6)
    assert mmd(same, same) is None
    assert discriminator_auc(same, same) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_last_digits_of_vectors_decide_nothing(seed):
    """A processor without AVX-512 gives others. Each text stands in both sets and differs in them by as much."""
    ours, theirs, rng = unit(300, seed), unit(300, seed + 100), np.random.default_rng(seed)
    sets = [np.concatenate([some, ours[:100]]) for some in (ours, theirs)]
    again = [some + rng.uniform(-1e-6, 1e-6, some.shape).astype(np.float32) for some in sets]
    for measure in MEASURES.values():
        assert measure(*again).value == pytest.approx(measure(*sets).value, abs=1e-4)


@given(st.integers(5, 40), seeds)
@settings(max_examples=20, deadline=None)
def test_identical_sets_cannot_be_told_apart(rows, seed):
    vectors = unit(rows, seed)
    mixed = np.random.default_rng(seed).permutation(vectors)
    assert discriminator_auc(vectors, mixed).value == pytest.approx(0.5, abs=0.01)
    assert -2 / rows <= mmd(vectors, mixed).value <= 1e-6


def test_one_distribution_scores_nothing_and_two_score_more_the_further_apart():
    sets = [aside(400, seed, by) for seed, by in ((1, 0), (2, 0), (3, 0.3), (4, 2))]
    areas = [discriminator_auc(sets[0], other) for other in sets[1:]]
    apart = [mmd(sets[0], other).value for other in sets[1:]]
    assert abs(areas[0].value - 0.5) < 3 * areas[0].error
    assert areas[0].value + 3 * areas[0].error < areas[1].value < areas[2].value
    assert areas[2].value > 0.95
    assert abs(apart[0]) < 0.002 < 4 * 0.002 < apart[1] < apart[2]


@pytest.mark.parametrize(
    ("synthetic", "real", "known"),
    [
        (1, 9, {"top_5_back"}),
        (4, 9, {"top_5_back", "mmd"}),
        (5, 9, {"top_5", "top_5_back", "mmd", "auc"}),
        (9, 4, {"top_5", "mmd"}),
        (9, 1, {"top_5"}),
    ],
)
def test_too_few_texts_leave_a_measure_undefined(synthetic, real, known):
    found = {name for name, measure in MEASURES.items() if measure(unit(synthetic, 1), unit(real, 2))}
    assert found == known


@pytest.mark.parametrize("block", [1, 3, 7])
def test_blocks_change_nothing(monkeypatch, block):
    ours, theirs = unit(20, 1), unit(9, 2)
    whole = top_similarity(ours, theirs).value
    monkeypatch.setattr(similarity, "BLOCK", block)
    assert top_similarity(ours, theirs).value == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("measure", ["top_5", "mmd", "one-sided mmd"])
def test_samples_err_as_much_as_they_say(measure):
    errors = []
    for seed in range(40):
        ours, theirs = aside(600, seed, 0.2), unit(200 if measure == "one-sided mmd" else 600, seed + 1000)
        if measure == "top_5":
            exact, sampled = top_similarity(ours, theirs), top_similarity(ours, theirs, pairs=600 * 60)
        else:
            exact, sampled = mmd(ours, theirs), mmd(ours, theirs, exact=300)
        assert sampled.error > exact.error == 0
        errors.append((sampled.value - exact.value) / sampled.error)
    assert 0.4 < np.std(errors) < 1.5
    assert abs(np.mean(errors)) < 0.6


def test_area_error_is_the_spread_over_many_pairs_of_sets():
    found = [discriminator_auc(aside(80, seed, 0.4), unit(80, seed + 1000)) for seed in range(30)]
    spread = np.std([area.value for area in found])
    assert 0.6 < spread / np.mean([area.error for area in found]) < 1.5


def test_more_real_texts_than_synthetic_ones_teach_the_discriminator_nothing():
    few, many, real = aside(60, 1, 0.5), aside(500, 3, 0.5), unit(500, 2)
    assert discriminator_auc(few, real).error == pytest.approx(discriminator_auc(few, unit(60, 2)).error, rel=0.3)
    assert discriminator_auc(few, real).error > 2 * discriminator_auc(many, real).error
