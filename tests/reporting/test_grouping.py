"""How rows are ordered all over a report: tasks by subjectivity."""

from collections.abc import Callable
from typing import Any

from tasks.reporting import grouping
from tests.reporting.conftest import TASKS, UNRATED

Make = Callable[..., Any]
BY_SUBJECTIVITY = sorted(TASKS, key=lambda name: -TASKS[name][2])


def test_tasks_come_by_rank(paper_results: Make) -> None:
    assert grouping.task_names(paper_results()) == BY_SUBJECTIVITY


def test_without_ranks_by_agreement_and_the_rest_in_the_studys_order(paper_results: Make) -> None:
    names = grouping.task_names(paper_results(strengths=False))
    assert names == [name for name in BY_SUBJECTIVITY if name not in UNRATED] + list(UNRATED)


def test_without_subjectivity_in_the_studys_order(results: Make) -> None:
    found = results(tasks=4)
    assert grouping.task_names(found) == list(found.config.tasks)
