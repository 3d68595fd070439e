"""What sections show: tasks by subjectivity, one table a pair, nothing twice, nothing without numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.reporting import sections
from tasks.reporting.results import assemble
from tests.reporting.conftest import TASKS, UNRATED

Make = Callable[..., dict[str, Any]]
BY_SUBJECTIVITY = sorted(TASKS, key=lambda name: -TASKS[name][2])


def test_tasks_come_by_rank(paper_results: Make) -> None:
    assert sections.task_names(paper_results()) == BY_SUBJECTIVITY


def test_without_ranks_by_agreement_and_the_rest_in_the_studys_order(paper_results: Make) -> None:
    names = sections.task_names(paper_results(strengths=False))
    assert names == [name for name in BY_SUBJECTIVITY if name not in UNRATED] + list(UNRATED)


def test_without_subjectivity_in_the_studys_order(results: Make) -> None:
    found = results(tasks=4)
    assert sections.task_names(found) == list(found["config"]["tasks"])
    old = {name: value for name, value in found.items() if name not in ("subjectivity", "findings", "paper")}
    assert sections.task_names(old) == sections.task_names(found)


def test_one_table_for_each_classifier_and_generator(paper_results: Make) -> None:
    found = sections.grids(paper_results(tasks=3, generators=("a/b", "c/d")))
    assert [grid.name for grid in found] == ["b · minilm-l6", "d · minilm-l6", "b · roberta-base", "d · roberta-base"]
    for grid in found:
        assert len(grid.modes) <= sections.COLUMNS
        assert not any(mode.startswith("mix/") for mode in grid.modes)
        assert len({row["generator"] for _, cells in grid.lines for row in cells if row} - {None}) == 1


def test_a_wide_study_is_cut_and_keeps_its_baseline(results: Make) -> None:
    modes = ("real", "zero_shot", "few_shot", "pool_only", "pool_plus_synthetic", "grounded", "mixed")
    found = sections.grids(results(modes=modes, baselines=("majority", "llm_zero_shot", "llm_few_shot")))
    assert [len(grid.modes) for grid in found] == [9, 3]
    assert all(grid.modes[0] == "real" for grid in found)


@pytest.mark.parametrize(("strengths", "measure"), [(True, "strength"), (False, "disagreement")])
def test_the_axis_is_the_papers_measure_where_it_is_known(paper_results: Make, strengths: bool, measure: str) -> None:
    found = paper_results(strengths=strengths)
    assert sections.axis(found) == measure
    for points in sections.points(found, measure).values():
        by_number = sorted(points, key=lambda point: point.number)
        x = [point.x.mean for point in by_number]
        assert x == sorted(x)
        assert all(point.x.low <= point.x.mean <= point.x.high for point in points)
        assert {point.hollow for point in points} == {False, True}


def test_two_tasks_are_no_axis(paper_results: Make) -> None:
    assert sections.axis(paper_results(tasks=2)) is None


def test_tasks_without_curves_say_why(paper_results: Make) -> None:
    ((why, names),) = sections.uncurved(paper_results())
    assert set(names) == set(UNRATED) and why == "its data has no raters and no annotators were asked"


def test_mixing_curves_run_from_real_to_generated_rows(paper_results: Make) -> None:
    found = sections.mixes(paper_results(tasks=1), "embedded/smollm2-135m-instruct")["sms_spam"]
    assert [(mix.base, mix.hollow) for mix in found] == [
        ("few_shot", False),
        ("zero_shot", False),
        ("few_shot", True),
        ("zero_shot", True),
    ]
    assert [share for share, _ in found[0].points] == [0, 25, 50, 75, 90, 100]
    assert [row["mode"] for _, row in found[1].points] == ["real", "mix/90/zero_shot", "zero_shot"]


def test_ablation_needs_the_few_real_examples(paper_results: Make, results: Make) -> None:
    rows = sections.ablations(paper_results(tasks=2), "embedded/minilm-l6", "embedded/smollm2-135m-instruct")
    assert [list(steps) for _, steps in rows] == [list(sections.ABLATION)] * 2
    assert sections.ablations(results(), "embedded/minilm-l6", "embedded/smollm2-135m-instruct") == []


def test_a_set_that_serves_several_modes_is_shown_once(paper_study: Make) -> None:
    parts = paper_study(tasks=2)
    shared = [replace(item, key=item.task) for item in parts["syntheses"]]
    made = sections.syntheses(assemble(**{**parts, "syntheses": shared}))
    assert [(row["task"], row["mode"]) for row in made] == [
        ("sms_spam", "zero_shot"),
        ("headline_sarcasm", "zero_shot"),
    ]


def test_errors_are_no_measures_of_their_own() -> None:
    row = {"diversity": {"vendi": 3.0, "vendi_error": 0.1, "odd_error": 2.0}, "similarity": {"mmd": 0.0}}
    assert sections.measures([row]) == ["vendi", "odd_error", "mmd"]
    assert sections.measured(row, "vendi") == (3.0, 0.1)
    assert sections.measured(row, "mmd") == (0.0, None)
