from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tasks.data.sample import matched_rows, natural_rows
from tasks.data.sample import test_sample as sample_of_test
from tasks.errors import UserError
from tests.data.conftest import make_data

COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 80), min_size=2)


@effort(max_examples=50, deadline=None)
@given(COUNTS, st.integers(0, 9), st.data())
def test_matched_rows_have_the_counts_asked_and_nest(counts: dict[str, int], draw: int, data: st.DataObject) -> None:
    rows = make_data(counts)
    large = {label: data.draw(st.integers(0, n)) for label, n in counts.items()}
    small = {label: data.draw(st.integers(0, n)) for label, n in large.items()}
    chosen = matched_rows(rows, large, draw)
    assert Counter(row.label for row in chosen) == Counter(large)
    assert len(set(chosen)) == len(chosen) and set(chosen) <= set(rows.train)
    assert set(matched_rows(rows, small, draw)) <= set(chosen)
    assert matched_rows(rows, large, draw) == chosen


def test_another_draw_is_another_choice() -> None:
    rows = make_data({"a": 100, "b": 100})
    asked = {"a": 10, "b": 10}
    assert set(matched_rows(rows, asked, 0)) != set(matched_rows(rows, asked, 1))
    assert set(natural_rows(rows, 20, 0)) != set(natural_rows(rows, 20, 1))


@effort(max_examples=50, deadline=None)
@given(COUNTS, st.integers(4, 330), st.integers(4, 330))
def test_samples_are_stratified_nested_and_complete(counts: dict[str, int], n: int, m: int) -> None:
    rows = make_data(counts)
    small, large = (sample_of_test(rows, size) for size in sorted((n, m)))
    assert set(small) <= set(large)
    size, total = min(n, m, sum(counts.values())), sum(counts.values())
    assert len(small) == size == len(set(small))
    found = Counter(row.label for row in small)
    for label, count in counts.items():
        assert found[label] >= 1
        assert abs(found[label] - size * count / total) <= len(counts)


def test_all_rows_when_null_or_more_than_there_are() -> None:
    rows = make_data({"a": 5, "b": 3})
    assert sample_of_test(rows, None) == sample_of_test(rows, 99) == rows.test
    assert natural_rows(rows, None, 0) == natural_rows(rows, 99, 1) == rows.train


def test_more_than_there_is() -> None:
    rows = make_data({"a": 5, "b": 3})
    with pytest.raises(UserError, match=r"'toy': label 'b' has 3 real training rows, but 4 are needed"):
        matched_rows(rows, {"a": 4, "b": 4}, 0)
    with pytest.raises(UserError, match=r"label of task 'toy' 'z'.*Allowed: a, b"):
        matched_rows(rows, {"z": 1}, 0)
    with pytest.raises(UserError, match=r"test_rows 1 is less than its number of labels, 2"):
        sample_of_test(rows, 1)
