from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.sources.reading import Reading
from tasks.data.split import same_text, share_of, split
from tasks.errors import UserError
from tasks.records import Example
from tests.data.conftest import make_config

ROWS = st.lists(
    st.builds(Example, st.text(st.sampled_from("xyzXY \t"), max_size=6), st.sampled_from(["a", "b"])), max_size=60
)


def many(label: str, n: int, name: str = "row") -> list[Example]:
    return [Example(f"{name} {label} {i}", label) for i in range(n)]


def reading(train: list[Example], test: list[Example] | None = None) -> Reading:
    return Reading(train, test, "made up", (), "train.csv", "test.csv")


@settings(max_examples=50, deadline=None)
@given(ROWS, st.one_of(st.none(), ROWS), st.floats(0.05, 0.95))
def test_no_text_stands_twice_and_the_pool_is_training_rows(
    train: list[Example], test: list[Example] | None, share: float
) -> None:
    whole = many("a", 4) + many("b", 4)
    data = split(
        make_config(),
        reading(whole + train, None if test is None else many("a", 2, "t") + many("b", 2, "t") + test),
        share,
    )
    texts = [same_text(row.text) for row in data.train + data.test]
    assert len(set(texts)) == len(texts) and all(texts)
    assert set(data.pool) <= set(data.train)
    for rows in (data.train, data.pool, data.test):
        assert {row.label for row in rows} == {"a", "b"}
    again = split(
        make_config(),
        reading(whole + train, None if test is None else many("a", 2, "t") + many("b", 2, "t") + test),
        share,
    )
    assert again == data


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 300), st.integers(2, 300), st.floats(0.05, 0.9), st.randoms())
def test_splits_are_stratified_and_blind_to_order(a: int, b: int, share: float, random: object) -> None:
    rows = many("a", a) + many("b", b)
    task = make_config(test_share=share)
    data = split(task, reading(rows), 0.1)
    counts = Counter(row.label for row in data.test)
    for label, n in (("a", a), ("b", b)):
        assert counts[label] == min(max(1, round(share * n)), n - 1)
        pooled = sum(row.label == label for row in data.pool)
        assert pooled == max(1, round(0.1 * (n - counts[label])))
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert set(split(task, reading(rows), 0.1).test) == set(data.test)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_a_larger_share_contains_a_smaller_one(n: int, one: float, other: float) -> None:
    rows = many("a", n)
    small, large = (set(share_of(rows, share, "salt")) for share in sorted((one, other)))
    assert small <= large


def test_cleaning_is_reported_and_keeps_the_authors_whitespace() -> None:
    train = [
        *many("a", 3),
        *many("b", 3),
        Example("  two  spaces\n", "a", 0.5),
        Example("TWO spaces", "a"),
        Example(" ", "a"),
        Example("torn", "a"),
        Example("Torn ", "b"),
        Example("seen", "b"),
    ]
    data = split(make_config(), reading(train, [*many("a", 2, "t"), *many("b", 2, "t"), Example("SEEN", "b")]), 0.1)
    assert Example("two  spaces", "a", 0.5) in data.train
    assert {"torn", "seen"}.isdisjoint(row.text for row in data.train)
    assert data.source == (
        "made up; 1 duplicates, 1 empty texts, 2 rows of texts with conflicting labels, "
        "1 training rows that stand in the test set dropped"
    )


GOOD = many("a", 5) + many("b", 5)
GOOD_TEST = many("a", 2, "t") + many("b", 2, "t")


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([*GOOD, Example("x", "c")], None, r"label 'c' in row 11 of train.csv. Allowed: a, b"),
        ([*GOOD, Example("x", "")], None, r"no label in row 11 of train.csv"),
        (GOOD, [*GOOD_TEST, Example("x", "B")], r"label 'B' in row 5 of test.csv. Allowed: a, b"),
        (many("a", 3), GOOD_TEST, r"train.csv has 3 rows, but only one label, 'a'"),
        (many("a", 3), None, r"only one label, 'a'"),
        (GOOD, many("b", 3, "t"), r"test.csv has 3 rows, but only one label, 'b'"),
        ([Example("same", "a"), Example("Same", "a")] * 9, None, r"only one label"),
        ([Example("same", "a"), Example("Same", "b")] * 9, None, r"18 rows, but all of them have the same text"),
        ([Example(t, label) for t in "xy" for label in "ab"], None, r"each text occurs with two labels"),
        ([], None, r"train.csv has no rows"),
        ([Example(" ", "a"), Example("", "b")], None, r"2 rows, but none of them has a text"),
        (GOOD, GOOD, r"every text of train.csv is also in test.csv"),
        ([*many("a", 5), Example("x", "b")], None, r"label 'b' has one row"),
    ],
)
def test_rows_that_make_no_task(train: list[Example], test: list[Example] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(make_config(), reading(train, test), 0.1)


def test_labels_that_a_split_lacks() -> None:
    task = make_config("abc")
    three = [*GOOD, *many("c", 5)]
    with pytest.raises(UserError, match=r"'c' is in test.csv, but not in train.csv. Labels there: a, b"):
        split(task, reading(GOOD, [*GOOD_TEST, *many("c", 2, "t")]), 0.1)
    with pytest.raises(UserError, match=r"'c' is listed, but does not have any row"):
        split(task, reading(GOOD, GOOD_TEST), 0.1)
    with pytest.raises(UserError, match=r"'c' is listed, but does not have any row"):
        split(task, reading(GOOD), 0.1)
    with pytest.raises(UserError, match=r"'c' is listed, but does not have a row in test.csv"):
        split(task, reading(three, GOOD_TEST), 0.1)
    with pytest.raises(UserError, match=r"'c' is in test.csv, but not in train.csv"):
        split(task, reading([*GOOD, Example("t c 0", "c")], [*GOOD_TEST, *many("c", 2, "t")]), 0.1)


@given(st.floats(0.01, 0.99), st.integers(1, 60), st.integers(1, 60))
def test_a_pool_has_at_most_the_rows_asked_for_and_a_larger_one_contains_it(share: float, few: int, more: int) -> None:
    rows = [*many("a", 50), *many("b", 7)]
    pools = [split(make_config(), reading(rows, GOOD_TEST), share, most).pool for most in (few, few + more, None)]
    for most, pool in zip((few, few + more, 57), pools, strict=True):
        for label, n in (("a", 50), ("b", 7)):
            assert [row.label for row in pool].count(label) == min(most, max(1, round(share * n)))
    assert set(pools[0]) <= set(pools[1]) <= set(pools[2])
