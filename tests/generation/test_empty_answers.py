"""An LLM that gives no texts is not asked on: when that is decided, by what, and what is said."""

import asyncio
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.config import EMBEDDED_GENERATOR
from tasks.errors import RunError
from tasks.generation import keys
from tasks.generation.synthesize import read_rows, stored_synthesis, synthesize
from tasks.llm.calls import Answer, Completion
from tasks.llm.empty_answers import IN_A_ROW, EmptyAnswers
from tasks.llm.journal import CallTotals, Entry, read_journal
from tasks.llm.ledger import Ledger
from tasks.store import Store
from tests.generation.conftest import FakeLLM, sentence

ENTRY = Entry("glad/0/0", "p", 1, (Answer("", "stop"),), "m", "m", 30, 40, 0.003, "s", 0.5, "now")
CUT = replace(ENTRY, answers=(Answer("Let me th", "length"),))
FILTERED = replace(ENTRY, answers=(Answer("", "content_filter"),))


def after(*entries: tuple[Entry, str]) -> EmptyAnswers:
    empty_answers = EmptyAnswers()
    for entry, text in entries:
        empty_answers.add(entry, [text])
    return empty_answers


def test_ten_in_a_row_are_enough_and_nine_are_not():
    assert not after(*[(ENTRY, "")] * 9).enough
    assert after(*[(ENTRY, "")] * 10).enough
    assert not after(*[(ENTRY, "")] * 9, (ENTRY, "a text"), *[(ENTRY, "")] * 9).enough


def test_an_llm_that_gave_texts_may_stop_giving_any():
    assert after(*[(ENTRY, "a text")] * 50, *[(ENTRY, "")] * 10).enough


def test_where_answers_without_a_text_are_common_ten_in_a_row_are_chance():
    half = [(ENTRY, "a text"), (ENTRY, "")] * 100
    assert not after(*half, *[(ENTRY, "")] * 12).enough
    assert after(*half, *[(ENTRY, "")] * 25).enough


@settings(deadline=None, max_examples=20)
@given(share=st.floats(0.0, 0.8), seed=st.integers(0, 1000))
def test_a_low_but_steady_yield_is_never_taken_for_none(share, seed):
    rng, empty_answers = random.Random(seed), after((ENTRY, "a text"), (ENTRY, ""))
    for _ in range(2000):
        empty_answers.add(ENTRY, ["" if rng.random() < share else "a text"])
        if empty_answers.with_text > 20:
            assert not empty_answers.enough


def test_the_reason_says_what_came_instead_and_what_it_cost():
    seen = [(CUT, "")] * 7 + [(FILTERED, ""), (ENTRY, "I'm sorry, but I can't help with that."), (ENTRY, "")]
    journal = Path("home/journals/ab12.jsonl")
    reason = after(*seen).reason(128, CallTotals.of(entry for entry, _ in seen), journal)
    assert reason == (
        "stopped after 10 answers in a row without a text (7 cut off at 128 tokens, 2 refusals, 1 empty); spent $0.03; "
        "a larger max_tokens leaves room for a text; to ask again, change max_tokens, or move journals/ab12.jsonl "
        "out of SYNTHGAP_HOME"
    )
    unpriced = after((ENTRY, "")).reason(1, CallTotals.of([replace(ENTRY, cost_usd=None)]), journal)
    assert "spent 70 tokens at an unknown price" in unpriced


def synthesis(job, data, home, llm, limit=1.0):
    ledger = Ledger(home.home / "book.json", limit)
    return synthesize(job, data, home, ledger=ledger, complete=llm)


@pytest.fixture
def home(settings):
    return settings


@pytest.mark.parametrize("mode", ["zero_shot", "few_shot"])
@pytest.mark.parametrize("answer", ["", "I'm sorry, but I can't help with that.", " \n"])
@pytest.mark.parametrize("concurrency", [1, 64])
def test_ten_answers_without_a_text_end_a_synthesis_after_ten_calls(
    mode, answer, concurrency, make_job, data, home, caplog
):
    job = make_job(mode, rows=20, concurrency=concurrency, price={"input": 1, "output": 1})
    llm = FakeLLM(answer=lambda _: answer)
    with pytest.raises(RunError, match=r"stopped after 10 answers in a row without a text \(10 .*\); spent \$0\.01"):
        synthesis(job, data, home, llm)
    assert len(llm.asked) == IN_A_ROW and llm.most_at_once <= IN_A_ROW
    assert stored_synthesis(job, data, home) is None
    with pytest.raises(RunError, match="stopped after 10 answers"):  # by its journal alone
        synthesis(job, data, home, llm)
    assert len(llm.asked) == IN_A_ROW
    other = replace(job, generator=job.generator.model_copy(update={"max_tokens": 999}))
    good = FakeLLM()
    assert synthesis(other, data, home, good, None).label_counts == {"glad": 20, "sad": 20}


def test_a_mended_provider_is_asked_again_once_the_journal_that_is_named_was_moved(make_job, data, home):
    job = make_job(rows=12)
    with pytest.raises(RunError) as raised:
        synthesis(job, data, home, FakeLLM(answer=lambda _: ""))
    named = re.search(r"move (\S+) out of SYNTHGAP_HOME", str(raised.value))
    assert named
    (home.home / named[1]).rename(home.home.parent / "moved")
    assert synthesis(job, data, home, FakeLLM()).label_counts == {"glad": 12, "sad": 12}


def test_until_a_text_came_no_more_than_ten_calls_are_in_flight(make_job, data, home):
    class Watched(FakeLLM):
        answered = 0
        early = 0

        async def __call__(self, request):
            if not self.answered:
                self.early += 1
            completion = await super().__call__(request)
            self.answered += 1
            return completion

    llm = Watched(delay=0.02)
    assert not synthesis(make_job(rows=60), data, home, llm).short
    assert llm.early == IN_A_ROW and llm.most_at_once > 40


def test_another_draw_of_what_gave_texts_need_not_show_it_again(make_job, data, home):
    synthesis(make_job(rows=12), data, home, FakeLLM())
    eager = FakeLLM(delay=0.02)
    synthesis(make_job(rows=60, draw=1), data, home, eager)
    assert eager.most_at_once > 40
    with pytest.raises(RunError, match="stopped after"):
        synthesis(make_job(rows=60, draw=2), data, home, FakeLLM(answer=lambda _: ""))
    careful = FakeLLM(answer=lambda _: "")
    with pytest.raises(RunError, match="stopped after 10 answers"):
        synthesis(make_job(rows=60, draw=3), data, home, careful)
    assert len(careful.asked) == IN_A_ROW


def test_many_labels_and_long_conversations_do_not_get_stuck(make_job, data, home, task):
    labels = {f"mood {i}": f"a note of kind {i}" for i in range(17)}
    many = task.model_copy(update={"labels": labels})
    job = replace(make_job("zero_shot", rows=4, concurrency=1), task=many)
    rows = replace(data, task=many, train=(), pool=(), test=())
    llm = FakeLLM(answer=lambda request: "" if llm.asked.index(request) < 9 else sentence(request))
    assert set(synthesis(job, rows, home, llm).label_counts.values()) == {4}


def test_texts_that_stop_coming_end_a_synthesis_that_keeps_what_it_has(make_job, data, home):
    class Drying(FakeLLM):
        async def __call__(self, request):
            completion = await super().__call__(request)
            return completion if len(self.asked) <= 30 else replace(completion, answers=(Answer("", "stop"),))

    llm = Drying()
    result = synthesis(make_job(rows=100, concurrency=4), data, home, llm)
    assert re.match(r"stopped after 1\d answers in a row without a text", result.stopped) and result.short
    assert 20 < result.yields.kept <= 30 and len(llm.asked) < 65
    assert len(read_rows(Store(home.store_url), result.key)[0]) == result.yields.kept


def test_texts_that_filters_reject_are_texts(make_job, data, home):
    llm = FakeLLM(answer=lambda _: "always the same words")
    assert synthesis(make_job(rows=10, extra=1.0), data, home, llm).yields.rejected["duplicate"] == 39


def test_the_embedded_llm_costs_nothing_and_is_asked_on(make_job, data, home):
    llm = FakeLLM(answer=lambda _: "", model=EMBEDDED_GENERATOR, cost=0.0)
    job = make_job(rows=10, extra=1.0, model=EMBEDDED_GENERATOR, completions=1)
    assert synthesis(job, data, home, llm).yields.requested == 40


def test_calls_of_an_ended_synthesis_are_in_its_ledger(make_job, data, home):
    llm = FakeLLM(answer=lambda _: "")
    job = make_job(rows=20, price={"input": 1, "output": 1})
    with pytest.raises(RunError):
        synthesis(job, data, home, llm)
    book = json.loads((home.home / "book.json").read_text())
    assert book["spent_usd"] == pytest.approx(0.001 * IN_A_ROW) and not book["reserved"]
    assert len(read_journal(home.home / "journals" / f"{keys.calls_key(job, data)}.jsonl")) == IN_A_ROW


def test_a_broken_llm_leaves_nothing_reserved(make_job, data, home):
    class Broken(FakeLLM):
        async def __call__(self, request) -> Completion:
            await asyncio.sleep(0.001 * random.random())
            raise KeyError("choices")

    with pytest.raises(KeyError):
        synthesis(make_job(rows=20, price={"input": 1, "output": 1}), data, home, Broken())
    book = json.loads((home.home / "book.json").read_text())
    assert book["spent_usd"] == book["estimated_usd"] > 0 and not book["reserved"]
