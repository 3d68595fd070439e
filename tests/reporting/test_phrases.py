"""Numbers and modes in words."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.reporting.modes import mode_name
from tasks.reporting.phrases import among, points

Make = Callable[..., Any]


@given(k=st.integers(0, 40), n=st.integers(1, 40), noun=st.sampled_from(["", "curve"]))
def test_shares_name_their_whole(k: int, n: int, noun: str) -> None:
    said = among(min(k, n), n, noun)
    assert str(n) in said or said.startswith("both")
    assert ("none" in said) == (k == 0 and n > 1)


@given(score=st.floats(-1, 1))
def test_points_have_no_needless_digits(score: float) -> None:
    said = points(score)
    assert said.split()[1] == ("point" if said.split()[0] == "1" else "points")
    assert abs(float(said.split()[0]) - 100 * abs(score)) <= 0.5


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("mix/50", "50% synthetic"),
        ("mix/90/zero_shot", "90% synthetic, zero-shot"),
        ("majority", "majority label"),
        ("few_shot", "few-shot"),
    ],
)
def test_modes_in_words(mode: str, name: str) -> None:
    assert mode_name(mode) == name
