"""Whole syntheses through the real gateway, over HTTP, against an endpoint that misbehaves (``tests.provider``)."""

import contextlib
import json
import pickle
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tasks.errors import RunError
from tasks.generation import keys
from tasks.generation.synthesize import read_rows, stored_synthesis, synthesize
from tasks.llm import gateway
from tasks.llm.journal import read_journal
from tasks.llm.ledger import Ledger
from tasks.records import Row, Synthesis, SynthesisJob, TaskData
from tasks.settings import Settings
from tasks.store import Store
from tests.provider import LOST, MODEL, ROOT, Provider, provider

pytestmark = pytest.mark.usefixtures("warm")

PRICE = {"input": 1.0, "output": 2.0}
EACH = {
    "slow_start": {"slow_start": 0.5},
    "busy": {"busy": 0.2, "retry_after": 0.1},
    "errors": {"errors": 0.2},
    "hangs": {"hangs": 0.1},
    "resets": {"resets": 0.2},
    "drops": {"drops": 0.2},
    "truncated": {"truncated": 0.2},
    "drips": {"drips": 0.1},
    "gateways": {"gateways": 0.2},
    "no_choices": {"no_choices": 0.2},
    "duplicates": {"duplicates": 0.2},
    "debris": {"debris": 0.2},
    "refusals": {"refusals": 0.2},
    "empties": {"empties": 0.2},
    "cuts": {"cuts": 0.2},
    "silences": {"silences": 0.2},
    "zeros": {"zeros": 0.2},
}
REASONS = {
    "no_choices": "empty",
    "duplicates": "duplicate",
    "debris": "debris",
    "refusals": "debris",
    "empties": "empty",
    "cuts": "empty",
}
ALL = (
    dict.fromkeys(EACH, 0.03)
    | dict.fromkeys(REASONS, 0.06)
    | {"slow_start": 0.01, "busy": 0.01, "spread": 1.0, "seed": 2}
)

Make = Callable[..., SynthesisJob]


@pytest.fixture
def job_at(make_job: Make) -> Make:
    def make(server: Provider, rows: int = 12, **fields: object) -> SynthesisJob:
        generator = {"model": MODEL, "api_base": server.url, "timeout": 2, "price": PRICE, **fields}
        return make_job(rows=rows, **generator)

    return make


def journal_of(job: SynthesisJob, data: TaskData, settings: Settings) -> Path:
    return settings.home / "journals" / f"{keys.calls_key(job, data)}.jsonl"


def rows_of(settings: Settings, result: Synthesis) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    return read_rows(Store(settings.store_url), result.key)


def check_books(job: SynthesisJob, data: TaskData, settings: Settings, ledger: Ledger, stats: dict) -> None:
    """Every answer that the endpoint gave was given once, is in the journal once and was paid for once.

    The ledger holds what the endpoint bills, and for what the client cannot know the most that it can be.
    """
    journal = journal_of(job, data, settings)
    entries = read_journal(journal)
    assert stats["repeated"] == 0
    assert len(journal.read_text().splitlines()) == len(entries) == stats["answered"]
    assert Counter(f"{entry.prompt} {entry.seed}" for entry in entries.values()) == stats["answers"]
    booked = ledger.booked
    known = sum(entry.cost_usd or 0 for entry in entries.values() if not entry.estimated)
    assert booked.usd - booked.estimated_usd == pytest.approx(known)
    assert booked.usd >= stats["billed_usd"] - 1e-9
    lost = sum(stats["failed"][name] for name in LOST) + stats["abandoned"]
    uncounted = stats["odd"]["silences"] + stats["odd"]["zeros"]
    if lost + uncounted:  # a busy machine may lose others by its own slowness
        assert booked.estimated_usd > 0
    assert sum(entry.estimated for entry in entries.values()) == uncounted


def synthesize_and_check(job: SynthesisJob, data: TaskData, settings: Settings, endpoint: Provider) -> dict:
    ledger = Ledger(settings.home / "book.json", 1.0)
    result = synthesize(job, data, settings, ledger=ledger)
    kept, rejected = rows_of(settings, result)
    assert Counter(row.label for row in kept) == dict.fromkeys(job.task.labels, job.rows_per_label)
    assert all(row.reason and row.evidence for row in rejected)
    stats = endpoint.stats()
    check_books(job, data, settings, ledger, stats)
    return stats | {"reasons": {row.reason for row in rejected}}


@pytest.mark.parametrize("fault", EACH)
def test_a_fault_costs_no_row_and_no_call_twice(fault, job_at, data, settings):
    with provider(**EACH[fault]) as endpoint:
        stats = synthesize_and_check(job_at(endpoint), data, settings, endpoint)
    assert {**stats["failed"], **stats["odd"], "busy": stats["refused"]}[fault] > 0
    assert stats["reasons"] == ({REASONS[fault]} if fault in REASONS else set())


@pytest.mark.slow
def test_all_faults_together_cost_no_row_and_no_call_twice(job_at, data, settings):
    with provider(**ALL) as endpoint:
        stats = synthesize_and_check(job_at(endpoint, rows=30), data, settings, endpoint)
    assert stats["asked"] > stats["answered"] + 5
    assert all(stats["odd"][name] for name in REASONS), stats["odd"]
    assert stats["reasons"] == {"empty", "duplicate", "debris"}


def test_another_model_ends_the_synthesis_and_its_answers_are_never_used(job_at, data, settings, caplog):
    with provider(wrong_models=1) as endpoint:
        with pytest.raises(RunError, match=r"asked for 'openai/served-model', but 'cheaper-model' answered"):
            synthesize(job_at(endpoint, concurrency=8, endpoint="lab"), data, settings)
        given = endpoint.stats()["answered"]
    with provider() as endpoint:
        job = job_at(endpoint, endpoint="lab")
        assert stored_synthesis(job, data, settings) is None
        result = synthesize(job, data, settings)
        assert endpoint.stats()["answered"] == result.calls and result.model_answered == "served-model"
    entries = read_journal(journal_of(job, data, settings))
    assert {entry.model for entry in entries.values()} <= {"served-model", "cheaper-model"}
    assert {entries[row.call].model for row in rows_of(settings, result)[0]} == {"served-model"}
    assert "never retrieved" not in caplog.text
    assert 0 < given <= 8  # nothing was sent after the first of them was seen


def test_no_more_calls_are_in_flight_than_allowed_and_a_place_is_taken_at_once(job_at, data, settings):
    with provider(latency=0.1) as endpoint:
        stats = synthesize_and_check(job_at(endpoint, rows=30, concurrency=7), data, settings, endpoint)
    assert stats["most_at_once"] == 7


@pytest.mark.parametrize("fault", ["busy", "hangs"])
def test_a_provider_that_does_nothing_else_for_a_while_is_waited_for(fault, job_at, data, settings):
    with provider(**{fault: 1, "faults_for": 0.8, "hang": 4}) as endpoint:
        stats = synthesize_and_check(job_at(endpoint, rows=3), data, settings, endpoint)
    assert stats["asked"] > stats["answered"]


def test_an_unannounced_rate_is_kept_to_and_used(job_at, data, settings):
    with provider(rate=20) as endpoint:
        begun = time.monotonic()
        stats = synthesize_and_check(job_at(endpoint, rows=40), data, settings, endpoint)
        took = time.monotonic() - begun
    assert stats["refused"] < 40  # the first bursts come before anything is known
    assert took < 80 / 20 * 3


CHILD = """
import pickle, sys
from tasks.llm.ledger import Ledger
from tasks.generation.synthesize import synthesize
job, data, settings = pickle.load(sys.stdin.buffer)
synthesize(job, data, settings, ledger=Ledger(settings.home / "book.json", 1.0))
"""


def start(job: SynthesisJob, data: TaskData, settings: Settings) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, cwd=ROOT)
    assert process.stdin
    process.stdin.write(pickle.dumps((job, data, settings)))
    process.stdin.close()
    return process


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


@pytest.mark.slow
def test_kills_lose_nothing_and_repeat_only_what_was_under_way(job_at, data, settings, tmp_path):
    known: dict[str, int] = {}  # calls on disk at a kill, and how often each had been answered by then
    with provider(latency=0.05) as endpoint:
        job = job_at(endpoint, rows=80, concurrency=8)
        journal = journal_of(job, data, settings)
        for _ in range(2):
            before = len(read_journal(journal))
            process = start(job, data, settings)
            wait_for(lambda least=before: len(read_journal(journal)) > least)
            time.sleep(random.uniform(0, 0.2))
            process.kill()
            assert process.wait() == -9
            on_disk = {f"{entry.prompt} {entry.seed}" for entry in read_journal(journal).values()}
            so_far = endpoint.stats()["answers"]
            known = {call: so_far[call] for call in on_disk} | known
        assert 2 <= len(known) < 160
        result = synthesize(job, data, settings)
        stats = endpoint.stats()
        fresh = Settings(home=tmp_path / "fresh")
        undisturbed = synthesize(job, data, fresh)
    entries = {f"{entry.prompt} {entry.seed}" for entry in read_journal(journal).values()}
    assert known.keys() <= entries == set(stats["answers"])
    assert {call: stats["answers"][call] for call in known} == known
    assert stats["repeated"] <= 2 * 8  # answered when the client was no longer there to hear it
    assert rows_of(settings, result) == rows_of(fresh, undisturbed)


@pytest.mark.slow
def test_a_second_process_waits_for_the_first_and_asks_nothing(job_at, data, settings, caplog):
    with provider(latency=0.2) as endpoint:
        job = job_at(endpoint, rows=30, concurrency=8, timeout=60)  # none is asked again on a busy machine
        journal = journal_of(job, data, settings)
        process = start(job, data, settings)
        wait_for(lambda: bool(read_journal(journal)))
        result = synthesize(job, data, settings)
        assert process.wait() == 0
        stats = endpoint.stats()
    assert "is being generated by another run; waiting for it" in caplog.text
    assert stats["repeated"] == 0 and stats["answered"] == result.calls
    assert len({entry.session for entry in read_journal(journal).values()}) == 1


BEHAVIOUR = ("busy", "errors", "hangs", "resets", "truncated", "drips", "gateways", "no_choices", "empties",
             "cuts", "silences", "zeros", "refusals")  # fmt: skip


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_no_mix_of_faults_bills_more_than_the_ledger_holds_or_than_the_limit(seed, job_at, data, settings):
    rng = random.Random(seed)
    shares = {name: rng.choice([0, 0, 0.1, 0.2]) for name in BEHAVIOUR}
    limit = rng.choice([0.004, 0.01, 1.0])
    ledger = Ledger(settings.home / "book.json", limit)
    with provider(**shares, seed=seed, hang=2, spread=0.5) as endpoint:
        job = job_at(endpoint, rows=15, timeout=1)
        with contextlib.suppress(RunError):
            synthesize(job, data, settings, ledger=ledger)
        time.sleep(2)  # until what hangs has been billed
        stats = endpoint.stats()
    assert stats["asked"] > 5
    assert stats["billed_usd"] <= ledger.spent_usd + 1e-9 <= limit + 2e-9
    assert not json.loads(ledger.path.read_text())["reserved"]


@pytest.mark.slow
def test_a_killed_client_leaves_no_call_that_is_billed_and_not_booked(job_at, data, settings):
    with provider(latency=0.3, silences=0.3) as endpoint:
        job = job_at(endpoint, rows=80, concurrency=8)
        for _ in range(2):
            before = endpoint.stats()["answered"]
            process = start(job, data, settings)
            wait_for(lambda least=before: endpoint.stats()["answered"] > least + 8)
            process.kill()
            process.wait()
        time.sleep(0.6)  # until the calls under way have been answered, and billed
        stats = endpoint.stats()
    assert 0 < stats["billed_usd"] <= Ledger(settings.home / "book.json", 1.0).spent_usd


def test_a_call_that_nobody_answers_does_not_keep_the_others_for_ever(job_at, data, settings):
    with provider(never=1, retry_after=0.05) as endpoint:
        job = job_at(endpoint, rows=3)
        ledger = Ledger(settings.home / "book.json", 1.0)
        with pytest.raises(RunError, match="busy"):
            synthesize(job, data, settings, ledger=ledger, complete=partial(gateway.complete, patience=1.0))
        assert endpoint.stats()["billed_usd"] == 0
    assert ledger.spent_usd == 0
