"""Accuracy over agreement."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.records import Interval
from tasks.reporting.sections import curves
from tests.reporting.conftest import UNRATED, build

Make = Callable[..., Any]


def test_tasks_without_curves_say_why(paper_results: Make) -> None:
    ((why, names),) = curves.uncurved(paper_results())
    assert set(names) == set(UNRATED) and why == "its data has no raters and no annotators were asked"


@pytest.mark.parametrize(("low", "said"), [(0.01, "clearly in all of them"), (-0.05, "too wide to say")])
def test_slopes_differ_only_where_intervals_say_so(paper_study: Make, low: float, said: str) -> None:
    parts = paper_study(tasks=3)
    steeper = Interval(0.02, low, 0.06)
    parts["curves"] = [replace(curve, steeper=steeper if curve.steeper else None) for curve in parts["curves"]]
    assert all(said in sentence for sentence in curves.slopes(build(**parts)))


def test_the_legend_names_what_is_drawn_and_nothing_else(paper_study: Make) -> None:
    parts = paper_study()
    drawn = next(curve for curve in parts["curves"] if curve.points)
    other = replace(drawn, arm=replace(drawn.arm, mode="pool_plus_synthetic"))
    found = build(**{**parts, "curves": [*parts["curves"], other]})
    modes = curves.SECTION.variables(found)["curve_modes"]
    assert set(modes) == {"real", "few_shot", "zero_shot"}
