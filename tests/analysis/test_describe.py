import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis.measures import diversity, similarity
from tasks.analysis.measures.describe import ERROR, describe, describe_real, describe_synthesis
from tasks.analysis.measures.embedding import embed
from tasks.analysis.measures.matching import REFERENCE_TEXTS, match, matched_texts
from tasks.config import TaskConfig
from tasks.records import Example, TaskData
from tasks.reporting.sections.texts import MEASURES
from tasks.settings import Settings
from tasks.store import Store
from tests.analysis.vectors import Letters

TASK = TaskConfig(
    name="mood",
    title="Mood",
    text="a note",
    context="You write notes.",
    labels={"glad": "a happy note", "sad": "an unhappy note"},
    sources=[{"kind": "files", "train": "train.csv"}],
)


def rows(label, count, word="abc"):
    letters = random.Random(word)
    return tuple(Example(f"{word} {label} {i} {''.join(letters.choices('abcdef', k=9))}", label) for i in range(count))


def data(glad, sad, shown=0):
    train = rows("glad", glad) + rows("sad", sad)
    return TaskData(TASK, train, rows("glad", shown), (), "made up")


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40))
def test_real_rows_lend_two_sets_that_share_no_text(glad, sad, per_label):
    task = data(glad, sad)
    matched = match(task, per_label)
    assert matched.counts == {"glad": min(per_label, glad // 2), "sad": min(per_label, sad // 2)}
    assert not set(matched.real) & set(matched.reference)
    assert set(matched.real) | set(matched.reference) <= {row.text for row in task.train}
    for texts in (matched.real, matched.reference):
        assert len(set(texts)) == len(texts)
        assert {label: sum(label in text for text in texts) for label in matched.counts} == matched.counts


def test_the_reference_is_bounded_keeps_the_mix_of_labels_and_avoids_what_prompts_show():
    task = data(3000, 600, shown=1000)
    matched = match(task, 1200)
    assert matched.counts == {"glad": 1200, "sad": 300}
    assert len(matched.real) == 1500
    assert len(matched.reference) <= REFERENCE_TEXTS
    assert sum("glad" in text for text in matched.reference) == 4 * sum("sad" in text for text in matched.reference)
    assert not {row.text for row in task.pool} & set(matched.reference)


def test_matched_texts_are_the_same_ones_in_any_order_and_more_contain_fewer():
    given_rows = rows("glad", 30) + rows("sad", 5)
    chosen = matched_texts(given_rows, {"glad": 10, "sad": 8})
    assert len(chosen) == 15
    assert matched_texts(given_rows[::-1], {"glad": 10, "sad": 8}) == chosen
    assert set(chosen) < set(matched_texts(given_rows, {"glad": 20, "sad": 8}))


def test_real_and_synthetic_rows_are_described_alike_and_the_reference_is_embedded_once(tmp_path):
    settings, letters, task = Settings(home=tmp_path), Letters(), data(60, 20)
    spread, close = describe_real(task, 25, settings, encode=letters)
    assert spread["texts"] == 25 + 10
    assert letters.asked == 2 * 35
    theirs = describe_synthesis(rows("glad", 25, "fade") + rows("sad", 25, "fade"), task, 25, settings, encode=letters)
    assert letters.asked == 3 * 35
    assert theirs[0]["texts"] == 35
    assert {name.removesuffix(ERROR) for name in theirs[0] | theirs[1]} == {*diversity.MEASURES, *similarity.MEASURES}
    assert close["auc"] < 0.7 < theirs[1]["auc"]
    assert close["mmd"] < 0.05 < theirs[1]["mmd"]


def test_a_task_with_no_rows_to_spare_leaves_all_measures_out(tmp_path):
    settings, task = Settings(home=tmp_path), data(1, 1)
    assert describe_real(task, 10, settings, encode=Letters()) == ({}, {})
    assert describe_synthesis(rows("glad", 9), task, 10, settings, encode=Letters()) == ({}, {})


def test_describe_leaves_out_what_is_undefined_and_asks_once(tmp_path):
    settings, letters = Settings(home=tmp_path), Letters()
    spread, close = describe(["abc"], ["abd", "bcd"], settings, encode=letters)
    assert set(spread) == {"texts", "distinct_1"}
    assert close == {}
    spread, close = describe(list("abcdef"), ["abd", "bcd"], settings, encode=letters)
    assert set(spread) == {"texts", "remote_clique", "chamfer", "vendi", "distinct_1", "self_bleu"}
    assert set(close) == {"top_5", "mmd"}
    asked = letters.asked
    assert describe(list("fedcba"), ["bcd", "abd"], settings, encode=letters) == (spread, close)
    assert letters.asked == asked
    assert describe([], ["abd"], settings, encode=letters) == ({}, {})


def test_real_texts_are_embedded_once_and_bounded(tmp_path):
    settings, letters = Settings(home=tmp_path), Letters()
    real = [f"{i} abc" for i in range(REFERENCE_TEXTS + 50)]
    describe(list("abcde"), real, settings, encode=letters)
    describe(list("abcdef"), real[::-1], settings, encode=letters)
    assert letters.asked == REFERENCE_TEXTS + 6


def test_a_value_that_is_an_estimate_comes_with_its_error(tmp_path):
    texts = [" ".join(row.text[-9:]) for row in rows("glad", 700)]
    spread, close = describe(texts, texts[:50], Settings(home=tmp_path), encode=Letters())
    assert {name for name in spread if name.endswith(ERROR)} == {"self_bleu_error"}
    assert {name for name in close if name.endswith(ERROR)} == {"auc_error"}
    assert 0 < close["auc_error"] < 0.1


def test_every_measure_has_an_explanation_and_no_other():
    assert list(MEASURES) == [*diversity.MEASURES, *similarity.MEASURES]


def test_embeddings_have_length_one_and_come_back_from_the_store(tmp_path):
    store, letters = Store(str(tmp_path)), Letters()
    first = embed(["abc", "aaa"], store, encode=letters)
    assert (first**2).sum(axis=1) == pytest.approx([1, 1])
    assert (embed(["abc", "aaa"], store, encode=letters) == first).all()
    assert letters.asked == 2


@pytest.mark.parametrize("kind", ["descriptions", "vectors"])
@pytest.mark.parametrize("size", [0, 20, -20])
def test_damaged_measures_and_embeddings_are_made_again(kind, size, tmp_path):
    settings, encode = Settings(home=tmp_path), Letters()
    texts, real = ["abc", "bcd", "cde", "def"], ["abd", "bce", "cdf", "dea"]
    first = describe(texts, real, settings, encode=encode)
    asked = encode.asked
    assert describe(texts, real, settings, encode=encode) == first and encode.asked == asked
    for damaged in (kind, "descriptions"):  # embeddings are looked at where a description is made
        for path in (tmp_path / "store" / damaged).rglob("*.*"):
            if path.name != "manifest.json" or damaged == "descriptions":
                path.write_bytes(path.read_bytes()[:size])
    assert describe(texts, real, settings, encode=encode) == first
    assert encode.asked == asked + (8 if kind == "vectors" else 0)
