"""Tables and progress, as they arrive on a terminal and in a log file."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tasks.config import ClassifierConfig, FileSource, GeneratorConfig, StudyConfig, TaskConfig
from tasks.inventory import Item, KindUsage, Pruning, StudyUsage, Usage
from tasks.llm.estimate import Estimate
from tasks.planning.plan import Plan, PlannedQuestions, PlannedSynthesis, PlannedTrial, Shown
from tasks.progress import Progress
from tasks.records import SynthesisJob, TrialJob
from tasks.reporting.markdown import markdown
from tasks.reporting.results import Results
from tasks.reporting.terminal import (
    Display,
    checks_table,
    comparison_table,
    plan_table,
    pruning_table,
    study_view,
    usage_tables,
)
from tests.arms import make_arm

Make = Callable[..., Any]

TASK = TaskConfig(
    name="sms_spam",
    title="SMS spam",
    text="a text message",
    context="You write text messages.",
    labels={"ham": "a wanted message", "spam": "an unwanted advertisement"},
    sources=(FileSource(train="train.csv"),),
)


def make_trial(mode: str, stored: bool) -> PlannedTrial:
    arm = make_arm("sms_spam", mode, None if mode == "real" else "openai/x")
    return PlannedTrial(TrialJob(arm, TASK, 0, None, ClassifierConfig(model="c"), "d", None, 0, {"ham": 5}), stored)


PLAN = Plan(
    study=StudyConfig(name="quickstart", tasks=["sms_spam"], modes=["real", "few_shot"], generators=["openai/x"]),
    syntheses=(
        PlannedSynthesis(
            SynthesisJob(TASK, "few_shot", GeneratorConfig(model="openai/x"), 0, 50, 2.0, ()),
            ("few_shot",),
            stored=False,
            estimate=Estimate(1200, 90000, 4000, None, 12.0),
        ),
    ),
    trials=(make_trial("real", stored=True), make_trial("few_shot", stored=False)),
    untrained=(),
    questions=(PlannedQuestions("", "judges", Estimate(30, 600, 30, 0.01, 3.0)),),
    training_seconds=189.0,
    notes=("sms_spam: fewer rows",),
    shown=(Shown("sms_spam", "test texts", 4000, "host.example"), Shown("sms_spam", "description", 0, None)),
)


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
    assert "few-shot" in text and "−13.0" in text and "loses 13 points (11 to 15): buy labels" in text
    assert text.count("sms_spam") == 1


def test_comparison_lists_failed_cells(results: Make) -> None:
    assert "3 cells failed: headline_sarcasm · few-shot · seed 0" in text_of(comparison_table(results(fail=True)))


def test_view_of_a_study_has_sentences_and_findings(paper_results: Make) -> None:
    text = text_of(study_view(paper_results(tasks=4)), 300)
    rows = [line.split("  ")[0] for line in text.splitlines()]
    places = [rows.index(name) for name in ("sms_spam", "ag_news", "imdb", "headline_sarcasm")]
    assert places == sorted(places), "from objective to subjective"
    assert "• few-shot · minilm-l6: undecided: subjective tasks tend to larger losses" in text
    assert "confirmed" in text and "Remote Clique: real minus few-shot" in text
    assert "about 12 seeds or 3,400 test rows would decide" in text


def test_plan_says_unknown_price_and_what_is_stored() -> None:
    text = text_of(plan_table(PLAN))
    assert "Study quickstart: 2 trials (1 task; few_shot, real), 1 of them stored" in text
    lines = [line.split() for line in text.splitlines()]
    counts = ["1,200", "90,000", "4,000", "unknown", "12", "s", "no"]
    assert ["sms_spam", "few_shot", "x", "0", *counts] in lines
    assert ["all", "judges", "30", "600", "30", "$0.01", "3", "s", "no"] in lines
    assert ["still", "to", "do", "1,230", "90,600", "4,030", "unknown", "3.4", "min"] in lines
    assert "sms_spam: fewer rows" in text
    assert "Real texts that would be sent to host.example: sms_spam: up to 4,000 (test texts)" in text
    nobody = replace(PLAN, shown=(Shown("sms_spam", "description", 0, "host.example"),))
    assert "No real text would be sent to host.example, only the description of sms_spam" in text_of(plan_table(nobody))


def test_usage_has_the_store_first_and_the_largest_first() -> None:
    kinds = (
        KindUsage("home", "journals", "LLM calls", 2, 5_000_000, 0, 0),
        KindUsage("store", "data", "real rows", 1, 1000, 1000, 1000),
        KindUsage("store", "champions", "the best LLMs", 1234, 2000, 0, None),
    )
    study = StudyUsage("mine", "2026-01-02T03:04:05+00:00", 2000)
    text = text_of(usage_tables(Usage("/h", "/s", 30, 5_003_000, kinds, (study,))))
    lines = text.splitlines()
    assert lines[0] == "Home /h, store /s: 5.0 MB"
    places = [
        next(n for n, line in enumerate(lines) if f" {kind} " in line) for kind in ("champions", "data", "journals")
    ]
    assert places == sorted(places)
    assert "1,234" in lines[places[0]] and lines[places[0]].rstrip().endswith("–")
    assert "unused for 30 days" in text and "2026-01-02" in text


def test_pruning_says_what_it_frees_and_what_stays() -> None:
    items = (Item("home", "journals", "j", 2_000_000, 0.0), Item("store", "trials", "t", 1000, 0.0))
    text = text_of(pruning_table(Pruning(items, kept_paid=2, journals_usd=1.5)))
    assert "Would free 2.0 MB." in text and "cost $1.50" in text and "Add --apply" in text
    assert "2 artifacts without results are kept: no journal in this home" in text
    done = text_of(pruning_table(Pruning(items[1:], 0, 0.0, applied=True)))
    assert "Freed 1.0 kB." in done and "--apply" not in done and "cost" not in done


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
