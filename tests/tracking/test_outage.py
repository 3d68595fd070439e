"""Waiting for a server that is away: bounded, said once, shared by all who call it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.tracking.outage import Outage


class AwayError(Exception):
    """No answer."""


def server(*, away_until: float = 0.0) -> Callable[[str], str]:
    """Answers from a moment on."""

    def answer(word: str) -> str:
        if time.monotonic() < away_until:
            raise AwayError(word)
        return word.upper()

    return answer


def outage(patience: float) -> Outage:
    return Outage("the server", lambda error: isinstance(error, AwayError), patience)


def test_calls_wait_together_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    answer, patient = server(away_until=time.monotonic() + 1), outage(30)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda word: patient.call(answer, word), ["a"] * 8)) == {"A"}
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split("answer")[0] for line in lines] == ["the server does not ", "the server "]


def test_a_server_that_stays_away_is_given_up_by_all_at_once() -> None:
    answer, patient = server(away_until=float("inf")), outage(1.5)
    begun = time.monotonic()
    with pytest.raises(AwayError):
        patient.call(answer, "first")
    assert time.monotonic() - begun >= 1.5
    begun = time.monotonic()
    for word in "bcdef":
        with pytest.raises(AwayError):
            patient.call(answer, word)
    assert time.monotonic() - begun < 0.5  # nobody waits in turn


def test_an_answer_ends_the_outage() -> None:
    patient = outage(1.0)
    with pytest.raises(AwayError):
        patient.call(server(away_until=float("inf")), "a")
    assert patient.call(server(), "b") == "B"
    assert patient.call(server(away_until=time.monotonic() + 0.4), "c") == "C"  # patient again


def test_a_call_that_alone_fails_is_given_up_too() -> None:
    patient = outage(1.5)
    with ThreadPoolExecutor(1) as pool:
        poisoned = pool.submit(patient.call, server(away_until=float("inf")), "a")
        while not poisoned.done():
            assert patient.call(server(), "b") == "B"
            time.sleep(0.1)
    with pytest.raises(AwayError):
        poisoned.result()


def test_other_errors_are_raised_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        outage(60).call(lambda: 1 / 0)
    assert time.monotonic() - begun < 0.5
