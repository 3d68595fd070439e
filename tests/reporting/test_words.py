"""Sentences say what the numbers say, and no more than the intervals allow."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis.decisions.verdict import good_enough
from tasks.records import Gap, Interval
from tasks.reporting import words
from tasks.reporting.modes import mode_name
from tasks.reporting.phrases import among, points
from tasks.reporting.results import assemble

Make = Callable[..., dict[str, Any]]


def with_gaps(parts: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    """The same study with one gap for all sets of one mode."""
    gap = Gap((low + high) / 2, low, high, 0.5, 1.0, seeds_needed=12, test_rows_needed=500)
    found = {"gap": gap, "good_enough": good_enough(gap, parts["config"].tolerance)}
    changed = [replace(c, **found) if c.arm.mode == "few_shot" else c for c in parts["comparisons"]]
    return assemble(**{**parts, "comparisons": changed})


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (
            -0.01,
            0.02,
            "win 0.5 points of macro-F1 in the middle of 4 comparisons: within your tolerance in all of them",
        ),
        (-0.3, -0.1, "cost 20 points of macro-F1 in the middle of 4 comparisons: clearly beyond your tolerance in all"),
        (-0.05, 0.01, "cost 2 points of macro-F1 in the middle of 4 comparisons: undecided in all of them"),
    ],
)
def test_what_rows_cost_is_as_sure_as_its_interval(study: Make, low: float, high: float, said: str) -> None:
    sentences = words.scores(with_gaps(study(tasks=4), low, high))
    assert said in next(sentence for sentence in sentences if sentence.startswith("Few-shot"))


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


def test_an_undecided_comparison_says_what_would_decide_it(study: Make) -> None:
    results = with_gaps(study(tasks=1), -0.05, 0.01)
    row = next(row for row in results["comparisons"] if row["mode"] == "few_shot")
    assert words.power(row, results) == "about 12 seeds would decide"  # 500 test rows are fewer than there were
    decided = with_gaps(study(tasks=1), -0.3, -0.1)
    row = next(row for row in decided["comparisons"] if row["mode"] == "few_shot")
    assert words.power(row, decided) == ""


def test_a_correlation_across_zero_is_undecided(paper_results: Make) -> None:
    results = paper_results()
    said = words.correlations(results)
    zero_shot, few_shot = (next(s for s in said if s.startswith(mode)) for mode in ("zero-shot", "few-shot"))
    assert "the more subjective the task, the larger the loss" in zero_shot and "−0.88" in zero_shot
    assert "undecided" in few_shot and "larger" in few_shot and "−0.82 to +0.40" in few_shot


def test_a_correlation_that_is_not_there_says_why() -> None:
    assert words.association({"spearman": None, "note": "fewer than 3 tasks"}) == "fewer than 3 tasks"


@pytest.mark.parametrize(("low", "said"), [(0.01, "clearly in all of them"), (-0.05, "too wide to say")])
def test_slopes_differ_only_where_intervals_say_so(paper_study: Make, low: float, said: str) -> None:
    parts = paper_study(tasks=3)
    steeper = Interval(0.02, low, 0.06)
    parts["curves"] = [replace(curve, steeper=steeper if curve.steeper else None) for curve in parts["curves"]]
    assert all(said in sentence for sentence in words.curves(assemble(**parts)))


def test_mixes_count_what_surely_stays_within_the_tolerance(paper_results: Make) -> None:
    (said,) = words.mixes(paper_results(tasks=3))
    assert "25% synthetic: all 6" in said and "90% synthetic, zero-shot: none of 6" in said


def test_baselines_are_held_against_what_was_trained(paper_study: Make) -> None:
    parts = paper_study(tasks=3)
    poor = Interval(0.2, 0.1, 0.3)
    said = words.baselines(assemble(**parts))
    assert said[0].startswith("Every classifier trained on generated rows is clearly better than always saying")
    changed = [replace(c, macro_f1=poor) if c.arm.mode == "zero_shot" else c for c in parts["comparisons"]]
    assert words.baselines(assemble(**{**parts, "comparisons": changed}))[0].startswith("6 of 12 classifiers")
    assert said[1].startswith("The LLM itself, zero-shot, against the best classifier trained on its texts (3 comp")


def test_the_papers_loss_stands_beside_our_own(paper_results: Make) -> None:
    results = paper_results()
    mean = {
        row["mode"]: row["accuracy"]["mean"]
        for row in results["comparisons"]
        if row["task"] == "ag_news" and row["classifier"] == "embedded/minilm-l6"
    }
    (said,) = [sentence for sentence in words.paper(results) if sentence.startswith("News topics, few-shot")]
    assert "the paper lost 3.7 points of accuracy with BERT" in said
    assert f"this study lost {points(mean['real'] - mean['few_shot'])} (minilm-l6)" in said


def test_variety_counts_sets_below_real_ones(paper_results: Make) -> None:
    said = words.texts(paper_results(tasks=3))
    assert said[0].startswith("Zero-shot sets are less varied than real rows in all 3 sets (remote clique;")
    assert said[-1] == "Few-shot texts are closer to real ones than zero-shot texts in all 3 sets."


def test_the_plan_is_held_against_what_it_took(results: Make) -> None:
    found = results()
    totals = {**found["totals"], "calls": 840, "seconds": 5.2 * 60}
    assert words.spent({**found, "totals": totals}) == (
        "Against the plan, the whole study took 2.0 times the calls and 1.0 times the minutes."
    )
    assert words.spent({**found, "totals": {**totals, "cells_stored": 3}}) == ""
    assert words.spent({**found, "estimate": None}) == ""


def test_a_study_without_anything_has_no_sentences(study: Make) -> None:
    nothing = {"trials": [], "comparisons": [], "syntheses": [], "tasks": [], "estimate": None}
    assert words.summary(assemble(**(study() | nothing))) == []


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
