import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis import diversity, similarity
from tasks.analysis.describe import REAL_TEXTS, describe
from tasks.analysis.embedding import embed
from tasks.settings import Settings
from tasks.store import Store

shapes = st.tuples(st.integers(2, 30), st.integers(1, 12), st.integers(0, 10**6))


def unit(rows, seed, width=8):
    vectors = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Letters:
    """Embeds a text as its counts of letters; counts the texts it was given."""

    def __init__(self):
        self.asked = 0

    def __call__(self, texts):
        self.asked += len(texts)
        return np.array([[1 + text.count(letter) for letter in "abcdef"] for text in texts], np.float32)


@given(shapes)
def test_diversity_is_its_definition(shape):
    rows, _, seed = shape
    vectors = unit(rows, seed)
    distance = 1 - vectors @ vectors.T
    others = ~np.eye(rows, dtype=bool)
    clique = np.mean([distance[i, others[i]].mean() for i in range(rows)])
    nearest = np.mean([distance[i, others[i]].min() for i in range(rows)])
    assert diversity.remote_clique(vectors) == pytest.approx(clique, abs=1e-5)
    assert diversity.chamfer(vectors) == pytest.approx(nearest, abs=1e-5)


@given(shapes)
def test_similarity_is_its_definition(shape):
    synthetic, real, seed = shape
    ours, theirs = unit(synthetic + 3, seed), unit(real, seed + 1)
    expected = np.mean([np.sort(row)[-5:].mean() for row in theirs @ ours.T])
    assert similarity.top_similarity(ours, theirs) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("block", [1, 3, 7])
def test_blocks_change_nothing(monkeypatch, block):
    ours, theirs = unit(20, 1), unit(9, 2)
    whole = diversity.chamfer(ours), similarity.top_similarity(ours, theirs)
    monkeypatch.setattr(diversity, "BLOCK", block)
    monkeypatch.setattr(similarity, "BLOCK", block)
    assert (diversity.chamfer(ours), similarity.top_similarity(ours, theirs)) == pytest.approx(whole, abs=1e-6)


def test_distinct_counts_words_not_letters():
    assert diversity.distinct(["Win cash now", "win CASH later"], 1) == pytest.approx(4 / 6)
    assert diversity.distinct(["Win cash now", "win CASH later"], 2) == pytest.approx(3 / 4)


def test_copies_have_no_diversity_and_full_similarity():
    same = unit(1, 0).repeat(6, axis=0)
    assert diversity.remote_clique(same) == pytest.approx(0, abs=1e-6)
    assert diversity.chamfer(same) == pytest.approx(0, abs=1e-6)
    assert similarity.top_similarity(same, same) == pytest.approx(1, abs=1e-6)


def test_describe_leaves_out_what_is_undefined_and_asks_once(tmp_path):
    settings, letters = Settings(home=tmp_path), Letters()
    spread, close = describe(["abc"], ["abd", "bcd"], settings, encode=letters)
    assert set(spread) == {"distinct_1"}
    assert close == {}
    spread, close = describe(list("abcdef"), ["abd", "bcd"], settings, encode=letters)
    assert set(spread) == {"remote_clique", "chamfer", "distinct_1"}
    assert set(close) == {"top_5"}
    asked = letters.asked
    assert describe(list("fedcba"), ["bcd", "abd"], settings, encode=letters) == (spread, close)
    assert letters.asked == asked
    assert describe([], ["abd"], settings, encode=letters) == ({}, {})


def test_real_texts_are_embedded_once_and_bounded(tmp_path):
    settings, letters = Settings(home=tmp_path), Letters()
    real = [f"{i} abc" for i in range(REAL_TEXTS + 50)]
    describe(list("abcde"), real, settings, encode=letters)
    describe(list("abcdef"), real[::-1], settings, encode=letters)
    assert letters.asked == 5 + REAL_TEXTS + 6


def test_embeddings_have_length_one_and_come_back_from_the_store(tmp_path):
    store, letters = Store(str(tmp_path)), Letters()
    first = embed(["abc", "aaa"], store, encode=letters)
    assert np.linalg.norm(first, axis=1) == pytest.approx([1, 1])
    assert np.array_equal(embed(["abc", "aaa"], store, encode=letters), first)
    assert letters.asked == 2
