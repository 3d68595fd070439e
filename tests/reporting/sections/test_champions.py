"""The best LLM so far in sentences: the same on the page, in the terminal and in the artifact."""

from typing import Any

from rich.console import Console

from tasks.records import Challenge, Gap
from tasks.reporting.markdown import markdown
from tasks.reporting.report import render
from tasks.reporting.results import RegisteredModel, Results
from tasks.reporting.sections import champions
from tasks.reporting.terminal import study_view
from tests.reporting.conftest import build, make_study

NEW, OLD = "few_shot · openai/new", "zero_shot · openai/old"


def gap(mean: float) -> Gap:
    return Gap(mean, mean - 0.02, mean + 0.02, 0.01, 0.01)


def challenge(outcome: str, mean: float | None = None, mode: str = "", **change: Any) -> Challenge:
    fields = {"task": "sms_spam", "mode": mode, "classifier": "embedded/minilm-l6", "challenger": NEW, "champion": OLD}
    fields |= {"outcome": outcome, "gap": None if mean is None else gap(mean)}
    return Challenge(**{**fields, **change})


def results(*challenges: Challenge, **change: Any) -> Results:
    return build(**make_study(), challenges=challenges, **change)


def said(*challenges: Challenge, **change: Any) -> list[str]:
    return champions.sentences(results(*challenges, **change))


def test_a_better_one_is_named_with_its_lead_and_interval() -> None:
    [sentence] = said(challenge("better", 0.031))
    assert "few-shot, new is the best now. It is better than zero-shot, old: +3.1 points of macro-F1" in sentence
    assert "(+1.1 to +5.1)" in sentence


def test_a_champion_that_stays_is_named_with_how_it_was_challenged() -> None:
    lost = [challenge("worse", -0.1), challenge("undecided", 0.01, challenger="few_shot · openai/other")]
    [sentence] = said(*lost)
    told = "few-shot, new is worse and few-shot, other is neither clearly better nor worse."
    assert sentence.endswith(f"zero-shot, old stays the best so far: {told}")
    [sentence] = said(*lost, challenge("worse", -0.2, challenger="few_shot · openai/third"))
    assert sentence.endswith("stays the best so far: 2 challengers are worse and 1 challenger is undecided.")


def test_a_champion_that_nobody_serves_any_more_is_marked() -> None:
    found = results(challenge("worse", -0.1, retired=(OLD,)))
    [sentence] = champions.sentences(found)
    assert "zero-shot, old (no longer served) stays the best so far" in sentence
    assert "<td>zero-shot, old (no longer served)</td>" in render(found, {})


def test_the_first_one_is_said_to_be_no_more_than_that() -> None:
    [sentence] = said(challenge("first", champion=None))
    assert sentence.endswith("few-shot, new is the best so far; there was none before.")


def test_challenges_within_a_mode_are_in_the_table_only() -> None:
    inside = challenge("undecided", mode="few_shot", note="trained on 400 rows, the champion on 100")
    found = results(inside)
    assert champions.sentences(found) == []
    assert "trained on 400 rows" in render(found, {})


def test_page_terminal_and_artifact_say_the_same() -> None:
    found = results(challenge("better", 0.031))
    [sentence] = champions.sentences(found)
    console = Console(width=400)
    with console.capture() as shown:
        console.print(study_view(found))
    assert sentence in shown.get()
    assert sentence in markdown(found)
    assert sentence in render(found, {})


def test_a_registered_model_is_named_with_its_agreement() -> None:
    sentences = said(models=[RegisteredModel("sms_spam", "sms_spam", "3", NEW, "c", 0, agreement=0.995)])
    assert any("version 3 of sms_spam" in sentence and "on 99.5% of test rows" in sentence for sentence in sentences)


def test_without_challenges_there_is_no_section() -> None:
    assert champions.sentences(results()) == []
    assert "The best LLM so far" not in render(results(), {})
