"""Numbers and modes as text."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.phrases import about, among, fixed, points, signed, signed_points
from tasks.reporting.modes import mode_name

Make = Callable[..., Any]


@given(k=st.integers(0, 40), n=st.integers(1, 40), noun=st.sampled_from(["", "curve"]))
def test_shares_name_their_whole(k: int, n: int, noun: str) -> None:
    said = among(min(k, n), n, noun)
    assert str(n) in said or said.startswith("both")
    assert ("none" in said) == (k == 0 and n > 1)


@given(value=st.floats(-2000, 2000), digits=st.integers(0, 3))
def test_a_sign_is_a_minus_or_a_plus_and_zero_has_none(value: float, digits: int) -> None:
    for said in (fixed(value, digits), signed(value, digits)):
        number = float(said.replace("−", "-").replace(",", ""))
        assert abs(number - value) <= 0.5 * 10**-digits + 1e-9
        assert "-" not in said
        assert number or said[0] == "0"
    assert signed(value, digits)[0] == ("0" if float(f"{value:.{digits}f}") == 0 else "+" if value > 0 else "−")


def test_differences_in_points() -> None:
    assert [signed_points(score) for score in (-0.1324, 0.01, -0.0004)] == ["−13.2", "+1.0", "0.0"]


def test_a_question_needs_no_colon() -> None:
    found = [about(title, "few-shot is best.") for title in ("Is it spam?", "Topics")]
    assert found == ["Is it spam? Few-shot is best.", "Topics: few-shot is best."]


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
