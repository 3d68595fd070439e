"""What the LLM wrote."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tasks.records import TaskSummary
from tasks.reporting.sections import texts
from tests.reporting.conftest import build

Make = Callable[..., Any]


def test_a_set_that_serves_several_modes_is_shown_once(paper_study: Make) -> None:
    parts = paper_study(tasks=2)
    shared = [replace(item, key=item.task) for item in parts["syntheses"]]
    made = texts.syntheses(build(**{**parts, "syntheses": shared}))
    assert [(row.task, row.mode) for row in made] == [
        ("sms_spam", "zero_shot"),
        ("headline_sarcasm", "zero_shot"),
    ]


def test_errors_are_no_measures_of_their_own() -> None:
    diversity = {"vendi": 3.0, "vendi_error": 0.1, "odd_error": 2.0}
    row = TaskSummary("t", "T", (), "", 1, 1, 1, diversity, {"mmd": 0.0})
    assert texts.measures([row]) == ["vendi", "odd_error", "mmd"]
    assert texts.measured(row, "vendi") == (3.0, 0.1)
    assert texts.measured(row, "mmd") == (0.0, None)


def test_variety_counts_sets_below_real_ones(paper_results: Make) -> None:
    said = texts.texts(paper_results(tasks=3))
    assert said[0].startswith("Zero-shot sets are less varied than real rows in all 3 sets (remote clique;")
    assert said[-1] == "Few-shot texts are closer to real ones than zero-shot texts in all 3 sets."
