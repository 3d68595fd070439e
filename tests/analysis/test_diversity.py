import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from tasks.analysis.measures import diversity
from tasks.analysis.measures.diversity import MEASURES, chamfer, distinct, remote_clique, vendi
from tasks.analysis.measures.self_bleu import self_bleu
from tasks.analysis.measures.words import words
from tests.analysis.vectors import unit

seeds = st.integers(0, 10**6)
sentences = st.lists(st.lists(st.sampled_from(["ab", "c", "d.", "E", "f"]), max_size=7).map(" ".join), max_size=9)
LOW_WHEN_ALIKE = [name for name in MEASURES if name not in ("texts", "self_bleu")]


@given(st.integers(2, 30), seeds)
def test_distances_are_their_definition(rows, seed):
    vectors = unit(rows, seed)
    distance = 1 - vectors @ vectors.T
    others = ~np.eye(rows, dtype=bool)
    assert remote_clique(vectors).value == pytest.approx(distance[others].mean(), abs=1e-5)
    nearest = np.where(others, distance, np.inf).min(1).mean()
    assert chamfer(vectors) == (pytest.approx(nearest, abs=1e-5), 0)


@given(st.integers(2, 30), seeds)
def test_vendi_is_the_entropy_of_the_kernel_of_all_pairs(rows, seed):
    vectors = unit(rows, seed).astype(np.float64)
    shares = np.clip(np.linalg.eigvalsh(vectors @ vectors.T / rows), 1e-300, None)
    assert vendi(vectors).value == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_vendi_counts_texts_that_have_nothing_in_common():
    assert vendi(np.eye(5, 8, dtype=np.float32)).value == pytest.approx(5)
    assert vendi(np.eye(2, 8, dtype=np.float32).repeat(4, axis=0)).value == pytest.approx(2)


@given(sentences)
def test_self_bleu_is_that_of_sacrebleu_for_each_text_against_the_others(texts):
    if len(texts) < 2:
        assert self_bleu(texts) is None
        return
    bleu = BLEU(tokenize="none", effective_order=True)
    said = [" ".join(words(text)) for text in texts]
    scores = [bleu.sentence_score(text, said[:i] + said[i + 1 :]).score / 100 for i, text in enumerate(said)]
    assert self_bleu(texts) == (pytest.approx(np.mean(scores)), 0)


def test_self_bleu_of_known_sets():
    assert self_bleu(["one two three four five"] * 3).value == pytest.approx(1)
    assert self_bleu(["one two three", "four five six"]).value == 0


@given(st.integers(2, 25), seeds)
def test_order_does_not_matter(rows, seed):
    vectors = unit(rows, seed)
    texts = [" ".join(f"word{part}" for part in np.flatnonzero(row > 0)) for row in vectors]
    order = np.random.default_rng(seed).permutation(rows)
    for name, measure in MEASURES.items():
        one, other = measure(texts, vectors), measure([texts[i] for i in order], vectors[order])
        assert other == (one and pytest.approx(one, abs=1e-5)), name


@given(st.integers(2, 25), seeds, st.integers(2, 12))
def test_bounds(rows, seed, width):
    vectors = unit(rows, seed, width)
    assert 0 <= remote_clique(vectors).value <= 2
    assert -1e-6 <= chamfer(vectors).value <= 2
    assert 1 - 1e-6 <= vendi(vectors).value <= min(rows, width) + 1e-6


@given(sentences)
def test_bounds_of_shares(texts):
    for found in (distinct(texts, 1), distinct(texts, 2), self_bleu(texts)):
        assert found is None or 0 <= found.value <= 1 + 1e-9


@pytest.mark.parametrize("name", LOW_WHEN_ALIKE)
@given(rows=st.integers(3, 20), seed=seeds)
def test_copies_lower_diversity(name, rows, seed):
    vectors, texts = unit(rows, seed), [f"text number{i} of{i} all" for i in range(rows)]
    twice = MEASURES[name](texts + texts[:1] * rows, np.concatenate([vectors, vectors[:1].repeat(rows, 0)]))
    assert twice.value < MEASURES[name](texts, vectors).value


def test_copies_raise_self_bleu():
    texts = [f"text number{i} of{i} all" for i in range(5)]
    assert self_bleu(texts + texts[:1]).value > self_bleu(texts).value


def test_distinct_counts_words_not_letters():
    assert distinct(["Win cash now", "win CASH later"], 1).value == pytest.approx(4 / 6)
    assert distinct(["Win cash now", "win CASH later"], 2).value == pytest.approx(3 / 4)


def test_one_text_has_no_diversity_but_words():
    known = {name: measure(["one"], unit(1, 0)) for name, measure in MEASURES.items()}
    assert {name for name, found in known.items() if found} == {"texts", "distinct_1"}


@pytest.mark.parametrize("block", [1, 3, 7])
def test_blocks_change_nothing(monkeypatch, block):
    vectors = unit(20, 1)
    whole = chamfer(vectors).value, vendi(vectors).value
    monkeypatch.setattr(diversity, "BLOCK", block)
    assert (chamfer(vectors).value, vendi(vectors).value) == pytest.approx(whole, abs=1e-6)


def test_sampled_chamfer_errs_as_much_as_it_says():
    errors = []
    for seed in range(40):
        vectors = unit(600, seed)
        exact, sampled = chamfer(vectors), chamfer(vectors, pairs=600 * 60)
        assert sampled.error > exact.error == 0
        errors.append((sampled.value - exact.value) / sampled.error)
    assert 0.6 < np.std(errors) < 1.5
    assert abs(np.mean(errors)) < 0.6


def test_sampled_self_bleu_is_that_of_sets_of_its_size():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefghijkl"), 6)) for _ in range(800)]
    sampled = self_bleu(texts, size=50)
    parts = [self_bleu(texts[i : i + 50]).value for i in range(0, 800, 50)]
    assert 0 < sampled.error < 0.05
    assert abs(sampled.value - np.mean(parts)) < 4 * sampled.error
    assert self_bleu(texts).value > sampled.value + 4 * sampled.error  # more texts, more to be put together from
