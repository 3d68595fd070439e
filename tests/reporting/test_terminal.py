"""Tables and progress, as they arrive on a terminal and in a log file."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tasks.progress import Progress
from tasks.reporting.markdown import markdown
from tasks.reporting.results import Results
from tasks.reporting.terminal import Display, checks_table, comparison_table, plan_table, study_view

Make = Callable[..., Any]

PLAN = {
    "shown": [
        {"task": "sms_spam", "what": "test texts", "texts": 40, "to": "host.example", "leaves": True},
        {"task": "sms_spam", "what": "description", "texts": 0, "to": None, "leaves": False},
    ],
    "study": "quickstart",
    "notes": ["sms_spam: fewer rows"],
    "cells": [{"task": "sms_spam", "mode": mode} for mode in ("real", "few_shot")],
    "syntheses": [
        {"task": "sms_spam", "mode": "few_shot", "generator": "openai/x", "draw": 0, "calls": 1200, "tokens_in": 90000}
        | {"tokens_out": 4000, "cost_usd": None, "seconds": 12.0, "stored": False}
    ],
    "questions": [],
    "trials": {"total": 2, "stored": 1},
    "totals": {"calls": 1200, "tokens_in": 90000, "tokens_out": 4000, "cost_usd": None, "minutes": 3.4},
}


def text_of(content: Any, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(content)
    return console.file.getvalue()  # type: ignore[attr-defined]


def with_verdict(results: Results, verdict: str) -> Results:
    """The same with another verdict of the second comparison."""
    first, second, *rest = results.comparisons
    return results.model_copy(update={"comparisons": (first, replace(second, verdict=verdict), *rest)})


def test_comparison_says_scores_gaps_and_verdicts(results: Make) -> None:
    text = text_of(comparison_table(results()))
    assert "few-shot" in text and "-13.0" in text and "loses 13 points (11 to 15): buy labels" in text
    assert text.count("sms_spam") == 1


def test_comparison_lists_failed_cells(results: Make) -> None:
    assert "3 cells failed: headline_sarcasm · few-shot · seed 0" in text_of(comparison_table(results(fail=True)))


def test_view_of_a_study_has_sentences_and_findings(paper_results: Make) -> None:
    text = text_of(study_view(paper_results(tasks=4)), 300)
    rows = [line.split("  ")[0] for line in text.splitlines()]
    places = [rows.index(name) for name in ("sms_spam", "ag_news", "imdb", "headline_sarcasm")]
    assert places == sorted(places), "from objective to subjective"
    assert "• few-shot · minilm-l6: undecided: subjective tasks lean to larger losses" in text
    assert "confirmed" in text and "Remote Clique: real minus few-shot" in text
    assert "about 12 seeds or about 3,400 test rows would decide" in text


def test_plan_says_unknown_price_and_what_is_stored() -> None:
    text = text_of(plan_table(PLAN))
    assert "2 trials" in text and "1 of them stored" in text
    assert "1,200" in text and "unknown" in text and "3.4 min" in text
    assert "To host.example would go real texts of sms_spam: up to 40 (test texts)" in text


def test_text_of_others_is_no_markup(results: Make) -> None:
    said = "[bold]x[/bold] [/oops]"
    assert said in text_of(comparison_table(with_verdict(results(), said)))


def test_checks_mark_problems_in_words() -> None:
    class Check:
        name, ok, detail = "home", False, "cannot write"

    assert "PROBLEM" in text_of(checks_table([Check()]))


def steps() -> list[Progress]:
    return [
        Progress("synthesize", "sms_spam · few_shot", 3, 100),
        Progress("synthesize", "sms_spam · few_shot", 100, 100, "12 rejected, $0.02"),
        Progress("trial", "sms_spam · real · seed 0", 1, 1, "macro-F1 0.93"),
        Progress("trial", "sms_spam · real · seed 1", 0, 1, "out of memory", failed=True),
    ]


def test_plain_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=160)
    with Display(PLAN, console) as display:
        for step in steps():
            display.update(step)
        display.message("budget reached")
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 4
    assert lines[0].startswith("[1/1 syntheses] synthesize sms_spam · few_shot: 100/100 (12 rejected, $0.02)")
    assert "failed" in lines[2]


def test_bars_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Display(PLAN, console) as display:
        for step in steps():
            display.update(step)
        text = text_of(display._draw(), 120)
    assert "2/2" in text and "1 failed" in text


def test_more_trials_than_planned_do_not_break_the_bar() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Display(PLAN, console) as display:
        for number in range(5):
            display.update(Progress("trial", f"seed {number}", 1, 1))
        assert "5/5" in text_of(display._draw(), 120)


def test_markdown_has_sentences_and_findings(paper_results: Make) -> None:
    text = markdown(paper_results(tasks=4))
    assert "- few-shot · minilm-l6: undecided" in text
    assert "| Real rows beat few-shot rows, and few-shot rows beat zero-shot rows | confirmed |" in text
    assert "LLM itself, zero-shot" in text


@pytest.mark.parametrize("fail", [False, True])
def test_markdown_is_one_clean_table(results: Make, fail: bool) -> None:
    found = with_verdict(results(fail=fail), "a | b\n<script>")
    text = markdown(found)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(found.comparisons)
    assert all(row.replace("\\|", "").count("|") == 7 for row in rows)
    assert "<script>" not in text
    assert ("cells failed" in text) == fail
