"""The gap over subjectivity."""

from collections.abc import Callable
from typing import Any

import pytest

from tasks.records import Correlation
from tasks.reporting.sections import subjectivity
from tests.arms import make_arm

Make = Callable[..., Any]


@pytest.mark.parametrize(("strengths", "measure"), [(True, "strength"), (False, "disagreement")])
def test_the_axis_is_the_papers_measure_where_it_is_known(paper_results: Make, strengths: bool, measure: str) -> None:
    found = paper_results(strengths=strengths)
    assert subjectivity.axis(found) == measure
    for points in subjectivity.numbered(found, measure).values():
        by_number = sorted(points, key=lambda point: point.number)
        x = [point.x.mean for point in by_number]
        assert x == sorted(x)
        assert all(point.x.low <= point.x.mean <= point.x.high for point in points)
        assert {point.hollow for point in points} == {False, True}


def test_two_tasks_are_no_axis(paper_results: Make) -> None:
    assert subjectivity.axis(paper_results(tasks=2)) is None


def test_a_correlation_across_zero_is_undecided(paper_results: Make) -> None:
    results = paper_results()
    said = subjectivity.correlations(results)
    zero_shot, few_shot = (next(s for s in said if s.startswith(mode)) for mode in ("zero-shot", "few-shot"))
    assert "the more subjective the task, the larger the loss" in zero_shot and "−0.88" in zero_shot
    assert "undecided" in few_shot and "larger" in few_shot and "−0.82 to +0.40" in few_shot


def test_a_correlation_that_is_not_there_says_why() -> None:
    item = Correlation(make_arm(""), "strength", 2, note="fewer than 3 tasks")
    assert subjectivity.association(item) == "fewer than 3 tasks"
