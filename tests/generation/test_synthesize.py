"""A whole synthesis against a fake LLM: rows, yields, resume, budget, bad endings."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import RunError, UserError
from tasks.generation import keys
from tasks.generation.synthesize import read_rows, stored_synthesis, synthesis_key, synthesize
from tasks.llm.calls import Completion, Request, UnwantedError
from tasks.llm.journal import read_journal
from tasks.llm.ledger import Ledger
from tasks.records import Example
from tasks.settings import Settings
from tasks.store import Store
from tests import read_only
from tests.generation.conftest import WORDS, FakeLLM, sentence

PRICED = "openai/gpt-4o-mini"


def rows(settings: Settings, key: str):
    return read_rows(Store(settings.store_url), key)


@pytest.mark.parametrize("mode", ["zero_shot", "few_shot"])
def test_keeps_the_rows_asked_for_and_counts_every_step(mode, make_job, data, settings, llm):
    result = synthesize(make_job(mode), data, settings, complete=llm)
    kept, rejected = rows(settings, result.key)
    assert result.label_counts == {"glad": 5, "sad": 5}
    assert len(kept) == result.yields.kept == 10
    assert result.yields.requested == len(kept) + len(rejected)
    assert not result.short and not result.stopped
    assert result.cost_usd == pytest.approx(0.001 * result.calls)
    assert result.calls == len(llm.asked)


def test_a_second_synthesis_asks_nothing(make_job, data, settings, llm):
    first = synthesize(make_job(), data, settings, complete=llm)
    asked = len(llm.asked)
    assert synthesize(make_job(), data, settings, complete=llm) == first == stored_synthesis(make_job(), data, settings)
    assert len(llm.asked) == asked


@pytest.mark.parametrize("mode", ["zero_shot", "few_shot"])
def test_rows_do_not_depend_on_the_order_of_answers(mode, make_job, data, tmp_path):
    found = []
    for place, delay in (("a", 0.0), ("b", 0.02)):
        settings = Settings(home=tmp_path / place)
        result = synthesize(make_job(mode), data, settings, complete=FakeLLM(delay=delay))
        found.append(rows(settings, result.key))
    assert found[0] == found[1]


def test_more_rows_reuse_every_call(make_job, data, settings, llm):
    few = synthesize(make_job(rows=5), data, settings, complete=llm)
    asked = len(llm.asked)
    many = synthesize(make_job(rows=8), data, settings, complete=llm)
    assert few.key != many.key
    assert len(llm.asked) == many.calls == asked + 6
    assert rows(settings, many.key)[0][:10] == rows(settings, few.key)[0]
    again = synthesize(make_job(rows=3), data, settings, complete=llm)
    assert len(llm.asked) == many.calls and again.calls == 6


def test_a_shortfall_is_reported_and_never_padded(make_job, data, settings):
    llm = FakeLLM(
        answer=lambda request: "always the same words" if "unhappy" in str(request.messages) else sentence(request)
    )
    result = synthesize(make_job(rows=5, extra=2.0), data, settings, complete=llm)
    assert result.label_counts == {"glad": 5, "sad": 1}
    assert result.short and result.yields.rejected["duplicate"] == 14
    assert result.yields.unique == result.yields.valid - 14


def test_every_bad_text_has_its_reason(make_job, data, settings):
    answers = [
        "",
        "...",
        "I'm sorry, I cannot write that.",
        " ".join(f"w{i}" for i in range(41)),
        "pool glad apple note",
        "TEST glad, about apple",
    ]
    llm = FakeLLM(answer=lambda request: answers.pop() if answers else sentence(request))
    result = synthesize(make_job(concurrency=1), data, settings, complete=llm)
    reasons = {row.reason: row.evidence for row in rows(settings, result.key)[1]}
    assert set(reasons) == {"empty", "debris", "over_long", "pool_copy", "test_leak"}
    assert all(reasons.values())


def test_conversations_carry_the_texts_so_far(make_job, data, settings, llm):
    synthesize(make_job("zero_shot", rows=3), data, settings, complete=llm)
    first, second, third = sorted(
        (r for r in llm.asked if "a note of somebody happy" in str(r.messages)), key=lambda r: len(r.messages)
    )
    assert [m["role"] for m in third.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert third.messages[2]["content"] == sentence(first)
    assert third.messages[4]["content"] == sentence(second)
    assert "more diverse" in third.messages[5]["content"]


def test_as_many_calls_are_ready_as_may_be_in_flight_and_some_more(make_job, data, settings):
    llm = FakeLLM(delay=0.01)
    synthesize(make_job(rows=20, concurrency=7), data, settings, complete=llm)
    assert llm.most_at_once == 7 + 2


def test_a_call_that_nobody_wants_when_its_turn_comes_is_not_made_and_costs_nothing(make_job, data, settings, tmp_path):
    class Late(FakeLLM):
        """Looks once more before it sends, as the gateway does, and sends one at a time."""

        async def __call__(self, request):
            async with turn:
                if not request.wanted():
                    raise UnwantedError
                return await super().__call__(request)

    turn = asyncio.Semaphore(1)
    llm, ledger = Late(model="cheaper"), Ledger(tmp_path / "book.json", 1.0)
    with pytest.raises(RunError, match="'cheaper' answered"):
        synthesize(make_job(price={"input": 1, "output": 1}), data, settings, ledger=ledger, complete=llm)
    assert len(llm.asked) == 1
    assert ledger.spent_usd == pytest.approx(llm.cost)
    assert not json.loads(ledger.path.read_text())["reserved"]


def damage(path: Path, way: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "cut": content[: len(content) // 2], "flip": content[:-9] + b"?" + content[-8:]}[way]
    )


@pytest.mark.parametrize("way", ["empty", "cut", "flip"])
@pytest.mark.parametrize("name", ["rows.jsonl", "manifest.json"])
def test_a_damaged_synthesis_is_made_again_without_a_call_and_that_is_said(
    name, way, make_job, data, settings, llm, caplog
):
    first = synthesize(make_job(), data, settings, complete=llm)
    before, asked = rows(settings, first.key), len(llm.asked)
    damage(settings.home / "store" / "syntheses" / first.key / name, way)
    assert stored_synthesis(make_job(), data, settings) is None
    again = synthesize(make_job(), data, settings, complete=llm)
    assert (again.key, again.yields, len(llm.asked)) == (first.key, first.yields, asked)
    assert rows(settings, first.key) == before
    assert caplog.text.count("is ignored and made again") == 1
    assert stored_synthesis(make_job(), data, settings) == again


@pytest.mark.parametrize("lines", [0, 4])
def test_rows_without_hashes_are_held_against_their_counts(lines, make_job, data, settings, llm):
    first = synthesize(make_job(), data, settings, complete=llm)
    folder = settings.home / "store" / "syntheses" / first.key
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("stored", None)  # as schema 0 wrote it
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert stored_synthesis(make_job(), data, settings) == first
    content = (folder / "rows.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "rows.jsonl").write_bytes(b"".join(content[:lines]))
    assert stored_synthesis(make_job(), data, settings) is None
    assert synthesize(make_job(), data, settings, complete=llm).yields == first.yields


def test_a_missing_field_counts_as_damage(make_job, data, settings, llm):
    first = synthesize(make_job(), data, settings, complete=llm)
    path = settings.home / "store" / "syntheses" / first.key / "manifest.json"
    synthesis = json.loads(path.read_text())["synthesis"]
    del synthesis["yields"]
    path.write_text(json.dumps({"synthesis": synthesis}))
    asked = len(llm.asked)
    assert synthesize(make_job(), data, settings, complete=llm).yields == first.yields and len(llm.asked) == asked


def test_a_synthesis_holds_its_calls_and_no_copy_of_their_answers(make_job, data, settings, llm):
    made = synthesize(make_job(), data, settings, complete=llm)
    folder = settings.home / "store" / "syntheses" / made.key
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "rows.jsonl", "calls.jsonl"}
    assert "answers" not in (folder / "calls.jsonl").read_text()
    assert json.loads((folder / "manifest.json").read_text())["calls_key"] == keys.calls_key(make_job(), data)


def test_a_store_that_cannot_be_written_is_noticed_before_the_first_call(make_job, data, tmp_path, llm):
    settings = Settings(home=tmp_path / "home", store=read_only.URL)
    with pytest.raises(RunError, match="cannot write to the store"):
        synthesize(make_job(), data, settings, complete=llm)
    assert not llm.asked


def test_another_model_fails_and_its_answer_is_not_used_later(make_job, data, settings, llm):
    with pytest.raises(RunError, match=r"asked for 'fake/llm', but 'cheaper' answered"):
        synthesize(make_job(), data, settings, complete=FakeLLM(model="cheaper"))
    assert stored_synthesis(make_job(), data, settings) is None
    result = synthesize(make_job(), data, settings, complete=llm)
    assert result.model_answered == "fake/llm" and len(llm.asked) == result.calls


def test_a_failing_endpoint_loses_no_completed_call(make_job, data, settings, llm):
    class Dying(FakeLLM):
        async def __call__(self, request: Request) -> Completion:
            if len(self.asked) == 4:
                raise RunError("endpoint is gone")
            return await super().__call__(request)

    dying = Dying()
    with pytest.raises(RunError, match="endpoint is gone"):
        synthesize(make_job(), data, settings, complete=dying)
    assert stored_synthesis(make_job(), data, settings) is None
    result = synthesize(make_job(), data, settings, complete=llm)
    assert len(llm.asked) == result.calls - 4
    fresh = synthesize(make_job(), data, Settings(home=settings.home / "other"), complete=FakeLLM())
    assert rows(settings, result.key) == rows(Settings(home=settings.home / "other"), fresh.key)


def priced_llm() -> FakeLLM:
    return FakeLLM(model="gpt-4o-mini-2024-07-18", cost=0.0001)


def test_the_budget_stops_keeps_and_can_be_gone_on_with(make_job, data, settings, tmp_path):
    job, llm = make_job(model=PRICED), priced_llm()
    part = synthesize(job, data, settings, ledger=Ledger(tmp_path / "small.json", 0.00055), complete=llm)
    assert "budget of $0.00055 is reached" in part.stopped and part.short
    assert 3 <= len(llm.asked) <= 5 and part.cost_usd == pytest.approx(0.0001 * len(llm.asked))
    assert len(rows(settings, part.key)[0]) == part.yields.kept > 0
    assert stored_synthesis(job, data, settings) is None
    whole = synthesize(job, data, settings, ledger=Ledger(tmp_path / "large.json", 1.0), complete=llm)
    assert whole.key == synthesis_key(job, data) != part.key
    assert not whole.stopped and len(llm.asked) == whole.calls


def test_an_unknown_price_with_a_budget_is_said(make_job, data, settings, tmp_path, llm, caplog):
    llm.cost = None
    result = synthesize(make_job(), data, settings, ledger=Ledger(tmp_path / "book.json", 1.0), complete=llm)
    assert "price of fake/llm is unknown" in caplog.text
    assert result.cost_usd is None and result.tokens_in == 10 * result.calls


KILLED = """
import asyncio, sys, json
sys.path.insert(0, {root!r})
from tests import read_only
from tests.generation.conftest import FakeLLM
from tasks.generation.synthesize import synthesize
from tasks.settings import Settings
import pickle
job, data = pickle.loads(bytes.fromhex({job!r}))
synthesize(job, data, Settings(home={home!r}), complete=FakeLLM(delay=0.05))
"""


@pytest.mark.parametrize("mode", ["zero_shot", "few_shot"])
def test_kill_and_resume_repeats_no_call_and_ends_with_the_same_rows(mode, make_job, data, settings, tmp_path, llm):
    import pickle

    job = make_job(mode, rows=60)
    code = KILLED.format(
        root=str(Path(__file__).parents[2]), job=pickle.dumps((job, data)).hex(), home=str(settings.home)
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    journal = settings.home / "journals" / f"{keys.calls_key(job, data)}.jsonl"
    until = time.monotonic() + 60
    while len(read_journal(journal)) < 20 and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = read_journal(journal)
    assert 20 <= len(done) < 120
    result = synthesize(job, data, settings, complete=llm)
    assert len(llm.asked) == len(read_journal(journal)) - len(done)
    fresh = Settings(home=tmp_path / "fresh")
    assert rows(fresh, synthesize(job, data, fresh, complete=FakeLLM()).key) == rows(settings, result.key)


def test_two_runs_of_one_synthesis_share_the_work(make_job, data, settings):
    llm, results = FakeLLM(delay=0.02), []
    threads = [
        threading.Thread(target=lambda: results.append(synthesize(make_job(rows=20), data, settings, complete=llm)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1] and len(llm.asked) == results[0].calls


def test_progress_is_told_from_start_to_end(make_job, data, settings, llm):
    told = []
    synthesize(make_job(), data, settings, complete=llm, report=told.append)
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert told[-1].finished and told[-1].total == 10 and not any(p.finished for p in told[:-1])


def test_a_mode_without_llm_cannot_be_synthesized(make_job, data, settings, llm):
    with pytest.raises(UserError, match="'real' asks no LLM"):
        synthesize(make_job("real"), data, settings, complete=llm)


def test_a_pool_without_a_label_is_one_clear_message(make_job, data, settings, llm):
    poor = replace(data, pool=(Example("a b c", "glad"),))
    with pytest.raises(UserError, match="few-shot pool has no row of label 'sad'"):
        synthesize(make_job(), poor, settings, complete=llm)
    assert llm.asked == []


def test_several_texts_of_one_prompt_are_rows_of_their_own(make_job, data, settings, llm):
    result = synthesize(make_job(rows=6, completions=4), data, settings, complete=llm)
    kept, _ = rows(settings, result.key)
    assert result.calls == len(llm.asked) == 4 and result.yields.requested == 12  # the last texts are not looked at
    assert [(row.call, row.answer) for row in kept if row.label == "glad"] == [
        *(("glad/0/0", i) for i in range(4)),
        *(("glad/1/0", i) for i in range(2)),
    ]


def test_a_provider_that_gives_fewer_texts_than_asked_is_asked_more_often(make_job, data, settings):
    class Stingy(FakeLLM):
        async def __call__(self, request: Request) -> Completion:
            return await super().__call__(replace(request, completions=1))

    result = synthesize(make_job(rows=4, completions=2), data, settings, complete=Stingy())
    assert result.label_counts == {"glad": 4, "sad": 4}
    assert result.calls <= result.yields.requested + 2


@pytest.mark.parametrize("mode", ["zero_shot", "few_shot"])
def test_several_texts_of_one_answer_are_judged_one_by_one(mode, make_job, data, settings):
    def answer(request: Request) -> str:
        good = [sentence(replace(request, seed=request.seed + i)) for i in range(3)]
        return "\n".join(f"{i}. {text}" for i, text in enumerate([*good[:2], good[0]], 1))

    llm = FakeLLM(answer=answer)
    result = synthesize(make_job(mode, rows=6, texts_per_call=4), data, settings, complete=llm)
    kept, rejected = rows(settings, result.key)
    assert len(kept) == 12 and result.calls == len(llm.asked)
    assert {row.reason for row in rejected} >= {"duplicate", "missing"}
    assert [row.answer for row in kept if row.call == "glad/0/0"] == [0, 1]
    assert "numbered list" in llm.asked[0].messages[-1]["content"]
    assert llm.asked[0].max_tokens == 4 * make_single_longest(make_job, data)


def make_single_longest(make_job, data) -> int:
    return keys.request(make_job("few_shot"), data, "glad", 0).max_tokens


def test_label_noise_is_estimated_where_labels_are_checked(make_job, data, settings):
    glad, sad = ("sunny happy holiday laugh", "rainy lonely funeral tears")
    pool = tuple(
        Example(f"{words} {a} {b}", label)
        for label, words in (("glad", glad), ("sad", sad))
        for a in WORDS
        for b in WORDS[:3]
    )

    def answer(request: Request) -> str:
        asked_sad = "unhappy" in str(request.messages[-1])
        wrong = request.seed % 4 == 0
        return f"{sad if asked_sad != wrong else glad} {sentence(request)}"

    job = replace(make_job(rows=40), filters=("label_check",))
    unchecked = synthesize(
        replace(job, filters=()), replace(data, pool=pool), settings, complete=FakeLLM(answer=answer)
    )
    checked = synthesize(job, replace(data, pool=pool), settings, complete=FakeLLM(answer=answer))
    assert unchecked.label_noise is None
    assert checked.yields.rejected["label_check"] > 5
    kept = rows(settings, checked.key)[0]
    wrong = sum((row.text.split()[0] == "sunny") != (row.label == "glad") for row in kept) / len(kept)
    assert checked.label_noise == pytest.approx(wrong, abs=0.1)
