"""Each policy of the throttle by itself: how many calls at once, how fast, and when a provider is left alone."""

import pytest

from tasks.llm.breaker import FAILURES_TO_OPEN, FIRST_PAUSE, LONGEST_PAUSE, Breaker
from tasks.llm.pace import REFUSED_CUT, STEADY, Pace
from tasks.llm.window import FIRST_SIZE, Window


def test_a_window_doubles_with_each_round_until_a_call_fails_and_then_grows_by_one():
    window = Window(most=100)
    for _ in range(FIRST_SIZE):
        window.answered(started=0.0, now=0.5)
    assert window.size == 2 * FIRST_SIZE and window.gap > 0  # the doubled round is spread
    window.failed(started=0.5, now=1.0)
    window.failed(started=0.5, now=1.1)  # was under way at the last failure
    assert window.size == FIRST_SIZE
    for _ in range(FIRST_SIZE):
        window.answered(started=1.0, now=1.5)
    assert FIRST_SIZE + 0.9 < window.size < FIRST_SIZE + 1.1 and window.gap == 0


def test_a_window_is_never_larger_than_the_user_allows():
    window = Window(most=20)
    for _ in range(100):
        window.answered(started=0.0, now=0.5)
    assert window.size == 20


def test_the_first_refusal_sets_the_rate_that_was_accepted_before_it():
    pace = Pace(now=0.0)
    for i in range(10):
        pace.started(0.1 * i)
    pace.started(1.0)
    assert pace.refused(started=1.0, now=1.1, retry_after=None) == 1.0  # a pause of a second
    assert pace.rate == pytest.approx(REFUSED_CUT * 10)


def test_where_nothing_was_accepted_no_rate_is_known():
    pace = Pace(now=0.0)
    pace.started(0.0)
    assert pace.refused(started=0.0, now=0.1, retry_after=7.0) == 7.0
    assert pace.rate is None


def test_a_rate_that_is_not_refused_for_a_while_grows():
    pace = Pace(now=0.0)
    for i in range(11):
        pace.started(0.1 * i)
    pace.refused(started=1.0, now=1.1, retry_after=None)
    rate = pace.rate
    pace.answered(started=3.0, now=3.5, closed_until=2.1)
    assert pace.rate == rate
    pace.answered(started=9.0, now=2.1 + STEADY + 1, closed_until=2.1)
    assert pace.rate > rate


def test_the_circuit_opens_after_failures_in_a_row_and_twice_as_long_each_time():
    breaker, pauses = Breaker(), []
    for _ in range(FAILURES_TO_OPEN - 1):
        assert breaker.failed(closed=False) is None and not breaker.open
    for _ in range(7):
        pauses.append(breaker.failed(closed=False))
        assert breaker.failed(closed=True) is None  # a call that was under way says nothing new
    assert pauses == [FIRST_PAUSE * 2**i for i in range(5)] + [LONGEST_PAUSE] * 2
    assert breaker.breaks == 7 and breaker.open
    breaker.answered()
    assert breaker.breaks == 0 and not breaker.open
