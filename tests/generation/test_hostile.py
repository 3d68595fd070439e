"""Whatever a provider answers: it is journaled, it is parsed or rejected with a reason, and it takes no time."""

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.generation import form as form_module
from tasks.generation import keys
from tasks.generation.filter import FilterContext, normalise
from tasks.generation.filters import ORDER, find_filters
from tasks.generation.form import MOST_NESTED, Form
from tasks.generation.parse import MOST_CHARACTERS, UnreadableError, parse
from tasks.generation.pipeline import UNREADABLE, read_texts
from tasks.generation.provenance import trace
from tasks.generation.synthesize import read_rows, synthesize
from tasks.labelling import answers
from tasks.llm.calls import Answer, Completion
from tasks.llm.journal import Entry, read_journal
from tasks.records import Example, Row
from tasks.reporting.export import export
from tasks.store import Store
from tests.generation.conftest import TASK, FakeLLM, sentence
from tests.reporting.conftest import build, make_study

LABELS = tuple(TASK.labels)
PIECES = (
    *(". ", ".", "...)", "!?…", "\n", " ", "\r\n", "\x85", "\u2028", "\x1c", "\0", "\x1b", "\ufeff", "\u202e"),
    *("sure. ", "Sure, here is ", "Here's a text: ", "1. ", "1.\n", "- ", "* ", "**", "__", "```", "```\n", "<think>"),
    *("</think>", "text: ", "glad: ", '"', "'", "“‘", "’”", "[", "]", "{", "}", '{"texts": ["', '"]}', '{"a":', "(("),
    *(",", '", "', "\\", "\\u", "\\ud83d", "/*", "#", "it's ", 'he said "no" ', "i am sorry i can ", "[your "),
    *("\u0301\u0327", "\ufdfa", "😀", "é", "ß", "\ud83d", "\ude00", "a", "word ", "0", "the answer is ", "no. "),
)
ANSWERS = st.text(st.characters(codec=None), max_size=60) | st.lists(
    st.tuples(st.sampled_from(PIECES), st.integers(1, 300)), max_size=6
).map(lambda parts: "".join(piece * times for piece, times in parts))
FORMS = st.sampled_from([Form(), Form(3), Form(5, as_json=True)])


def entry_of(*texts: str, finish: str = "stop") -> Entry:
    said = tuple(Answer(text, finish) for text in texts)
    return Entry("glad/0/0", "p", 1, said, "m", "m", 3, 4, None, "s", 0.5, "now")


@example("[" * 1000, Form(3), False)
@example("[" * 1_000_000, Form(3), False)
@example('{"a":' * 5000, Form(3, as_json=True), True)
@example('{"texts": ["half \\ud83d", "b"]}', Form(3), False)
@settings(max_examples=60, deadline=None)
@given(ANSWERS, FORMS, st.booleans())
def test_any_answer_gives_texts_that_can_be_stored_or_a_reason(answer: str, form: Form, cut: bool) -> None:
    found = read_texts(entry_of(answer, finish="length" if cut else "stop"), TASK, form)
    assert len(found) == form.texts
    for text in found:
        assert text.text.encode().decode() == text.text
        assert not (text.text and text.unreadable)
        if text.text and not cut:
            assert parse(text.text, LABELS) == text.text


@settings(max_examples=40, deadline=None)
@given(ANSWERS.filter(str.strip))
def test_no_filter_breaks_on_a_text(answer: str) -> None:
    context = FilterContext(TASK, (Example("pool text about a river and a bridge", "glad"),), frozenset())
    text = Answer(answer, "stop").text
    for item in find_filters(ORDER):
        evidence = item.check(context)(Row(text, "glad", "glad/0/0"))
        assert evidence is None or evidence.encode()


@settings(max_examples=60, deadline=None)
@given(ANSWERS)
def test_no_answer_to_a_question_breaks_it(answer: str) -> None:
    assert answers.parse(answer, LABELS) in (None, *LABELS)


def test_what_is_too_much_is_rejected_with_the_reason() -> None:
    def why(answer: str, form: Form) -> set[str]:
        return {text.unreadable for text in read_texts(entry_of(answer), TASK, form)}

    assert why("x" * (MOST_CHARACTERS + 1), Form()) == {"100,001 characters, over 100,000"}
    assert why("x" * 10_000_000, Form(3)) == {"10,000,000 characters, over 300,000"}
    assert why("[" * (MOST_NESTED + 1), Form(3)) == {"over 100 nested brackets"}
    assert why("1. " * 500 + "a", Form()) == {"over 30 wrappers around a text"}
    assert why("['" + "it's " * 3000 + "']", Form(3)) == {"JSON that cannot be repaired (TooManyStepsError)"}
    assert why("x" * MOST_CHARACTERS, Form()) == {""}
    assert answers.parse("glad\n" * 1_000_000, LABELS) is None


def seconds(work: Callable[[str], object], text: str) -> float:
    """Of this thread alone: other processes use the machine as well, and earlier tests may have left threads."""
    normalise.cache_clear()
    begun = time.thread_time()
    work(text)
    return time.thread_time() - begun


def parse_any(text: str) -> None:
    for cut in (False, True):
        read_texts(entry_of(text, finish="length" if cut else "stop"), TASK, Form())
    with_texts = Form(5)
    try:
        with_texts.split(text)
        form_module._from_list(text)
    except UnreadableError:
        pass
    answers.parse(text, LABELS)
    normalise(text)


@pytest.mark.parametrize("head", ["", "sure", '["'])
def test_the_time_grows_no_faster_than_the_answer(head: str) -> None:
    """Quadratic work on eight times as much takes 64 times as long."""
    parse_any("warm up [")
    slow = {}
    for piece in PIECES:
        small, large = (head + piece * (n // len(piece)) + "x" for n in (2_000, 16_000))
        took = seconds(parse_any, large)
        if took > 0.25 and took > 24 * max(seconds(parse_any, small) for _ in range(3)):
            slow[piece] = took
    assert not slow


def test_half_an_emoji_is_journaled_paid_once_and_used(make_job, data, settings, tmp_path) -> None:
    def answer(request) -> str:
        return f"{sentence(request)} \ud83d"

    llm = FakeLLM(answer=answer, model="fake/llm")
    job = make_job("zero_shot", rows=3)  # whose second turn shows the first text
    result = synthesize(job, data, settings, complete=llm)
    journal = settings.home / "journals" / f"{keys.calls_key(job, data)}.jsonl"
    assert len(read_journal(journal)) == len(llm.asked) == result.calls
    kept, _ = read_rows(Store(settings.store_url), result.key)
    assert len(kept) == 6 and all(row.text.endswith(" \ufffd") for row in kept)
    again = synthesize(make_job("zero_shot", rows=2), data, settings, complete=llm)
    assert again.calls == 4 and len(llm.asked) == result.calls
    study = make_study(tasks=1)
    results = build(**{**study, "syntheses": [replace(result, task=study["tasks"][0].name)]})
    assert len(export(results, settings, tmp_path / "out")) == 1


@pytest.mark.parametrize("odd", ["a\u2028b", "a\u2029b", "a\x85b", "a\x1cb", "a\0b", "\u202eabc", "👩‍👩‍👧"])
def test_rows_with_any_character_are_read_again(make_job, data, settings, odd) -> None:
    llm = FakeLLM(answer=lambda request: f"{sentence(request)} {odd} end")
    result = synthesize(make_job(rows=3), data, settings, complete=llm)
    store = Store(settings.store_url)
    kept, _ = read_rows(store, result.key)
    assert len(kept) == 6 and all(odd in row.text for row in kept)
    assert {row["text"] for row in trace(store, result.key) if row["reason"] is None} == {row.text for row in kept}


def test_an_answer_that_no_parser_reads_is_a_rejected_text(make_job, data, settings) -> None:
    bad = ["[" * 1000, '{"texts": ' * 200, "x" * 700_000]

    def answer(request) -> str:
        if bad:
            return bad.pop()
        return json.dumps({"texts": [sentence(request), sentence(request)[::-1]]})

    job = make_job(rows=4, texts_per_call=2, concurrency=1, extra=3.0)
    result = synthesize(job, data, settings, complete=FakeLLM(answer=answer))
    assert result.yields.rejected[UNREADABLE] == 6 and result.label_counts == {"glad": 4, "sad": 4}
    _, rejected = read_rows(Store(settings.store_url), result.key)
    unreadable = [row for row in rejected if row.reason == UNREADABLE]
    assert all(row.evidence and len(row.text) <= 2000 for row in unreadable)
    assert result.yields.requested - result.yields.parsed == 6


def test_a_completion_holds_no_half_characters() -> None:
    made = Completion((Answer("a\ud83d", "st\udc00op"),), "mo\ud83ddel", 1, 1, None)
    assert made == Completion((Answer("a\ufffd", "st\ufffdop"),), "mo\ufffddel", 1, 1, None)
