"""Scores: one table a pair, sentences as sure as their intervals."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.records import Interval
from tasks.reporting.sections import scores
from tests.reporting.conftest import build, with_gaps

Make = Callable[..., Any]


def test_one_table_for_each_classifier_and_generator(paper_results: Make) -> None:
    found = scores.grids(paper_results(tasks=3, generators=("a/b", "c/d")))
    assert [grid.name for grid in found] == ["b · minilm-l6", "d · minilm-l6", "b · roberta-base", "d · roberta-base"]
    for grid in found:
        assert len(grid.modes) <= scores.COLUMNS
        assert not any(mode.startswith("mix/") for mode in grid.modes)
        assert len({row.source for _, cells in grid.lines for row in cells if row} - {None}) == 1


def test_a_wide_study_is_cut_and_keeps_its_real_rows(results: Make) -> None:
    modes = ("real", "zero_shot", "few_shot", "pool_only", "pool_plus_synthetic", "grounded", "mixed")
    found = scores.grids(results(modes=modes, untrained=("majority", "llm_zero_shot", "llm_few_shot")))
    assert [len(grid.modes) for grid in found] == [9, 3]
    assert all(grid.modes[0] == "real" for grid in found)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (
            -0.01,
            0.02,
            "win 0.5 points of macro-F1 (median of 4 comparisons): within your tolerance in all of them",
        ),
        (-0.3, -0.1, "cost 20 points of macro-F1 (median of 4 comparisons): clearly beyond your tolerance in all"),
        (-0.05, 0.01, "cost 2 points of macro-F1 (median of 4 comparisons): undecided in all of them"),
    ],
)
def test_what_rows_cost_is_as_sure_as_its_interval(study: Make, low: float, high: float, said: str) -> None:
    sentences = scores.costs(with_gaps(study(tasks=4), low, high))
    assert said in next(sentence for sentence in sentences if sentence.startswith("Few-shot"))


def test_untrained_arms_are_held_against_what_was_trained(paper_study: Make) -> None:
    parts = paper_study(tasks=3)
    poor = Interval(0.2, 0.1, 0.3)
    said = scores.untrained(build(**parts))
    assert said[0].startswith("Every classifier trained on generated rows is clearly better than always saying")
    changed = [replace(c, macro_f1=poor) if c.mode == "zero_shot" else c for c in parts["comparisons"]]
    assert scores.untrained(build(**{**parts, "comparisons": changed}))[0].startswith("6 of 12 classifiers")
    assert said[1].startswith("The LLM itself, zero-shot, against the best classifier trained on its texts (3 comp")
