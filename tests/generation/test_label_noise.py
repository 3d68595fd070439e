"""The estimate of label noise, held against flips of a known rate."""

import random

import numpy as np
import pytest

from tasks.generation.label_noise import label_noise
from tasks.generation.pool_classifier import PoolClassifier, train
from tasks.records import Example, Row
from tests.generation.conftest import WORDS

VOCABULARY = {"glad": WORDS[:4], "calm": WORDS[4:8], "sad": WORDS[8:]}


def texts(labels: list[str], seed: int) -> list[Example]:
    """Texts with so many words of other labels that a classifier errs on about one in five."""
    rng = random.Random(seed)

    def word(label: str) -> str:
        return rng.choice(VOCABULARY[label] if rng.random() < 0.5 else WORDS)

    return [Example(" ".join(word(label) for _ in range(5)), label) for label in labels]


@pytest.fixture(scope="module", params=[("glad", "sad"), ("glad", "calm", "sad")], ids=["two labels", "three"])
def classifier(request) -> PoolClassifier:
    return train(tuple(texts(list(request.param) * 250, seed=1)))


@pytest.mark.parametrize("rate", [0.0, 0.15, 0.4])
def test_the_rate_of_flips_is_found_though_the_classifier_errs(rate, classifier):
    rng = random.Random(2)
    real = texts(list(classifier.labels) * 700, seed=3)
    flipped = [rng.random() < rate for _ in real]
    rows = [
        Row(row.text, rng.choice([x for x in classifier.labels if x != row.label]) if flip else row.label, "c")
        for row, flip in zip(real, flipped, strict=True)
    ]
    noise = label_noise(rows, classifier)
    truth = sum(flipped) / len(flipped)
    assert noise.rate == pytest.approx(truth, abs=0.05)
    assert set(noise.by_label) == set(classifier.labels)
    if rate == 0:
        assert noise.disagreement > 0.08  # what would be reported without the correction


def test_two_labels_give_the_estimate_of_rogan_and_gladen(classifier):
    if len(classifier.labels) > 2:
        pytest.skip("for two labels")
    rows = [Row(row.text, "glad", "c") for row in texts(["glad"] * 300 + ["sad"] * 200, seed=4)]
    given = classifier.probabilities([row.text for row in rows]).argmax(axis=1)
    (specificity, _), (_, sensitivity) = classifier.confusion
    expected = ((given == 1).mean() + specificity - 1) / (sensitivity + specificity - 1)
    assert label_noise(rows, classifier).by_label["glad"] == pytest.approx(expected, abs=1e-4)


def test_nothing_is_claimed_without_rows_or_by_one_who_guesses(classifier):
    rows = [Row("apple river", "glad", "c")]
    assert label_noise([], classifier) is None
    guess = np.full_like(classifier.held_out, 0.0)
    guess[:, 0] = 1.0
    guessing = PoolClassifier(classifier.labels, classifier.model, classifier.truth, guess)
    assert label_noise(rows, guessing) is None
    with pytest.raises(ValueError, match="'angry'"):
        label_noise([Row("apple river", "angry", "c")], classifier)


def test_a_pool_too_small_to_hold_texts_out_trains_nothing():
    assert train(tuple(texts(["glad", "sad"] * 4, seed=1))) is None
    assert train(tuple(texts(["glad"] * 50, seed=1))) is None
