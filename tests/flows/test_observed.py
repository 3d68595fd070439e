"""What a running study tells Prefect: counts and words, and which log records reach its run logs."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.observed import RunLogFilter, Steps, Tally, run_log
from tasks.progress import LOGGER, Progress, announce


def tell(tally: Tally, *steps: Progress) -> None:
    for step in steps:
        tally.emit(logging.makeLogRecord({"progress": step}))


class Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def heard() -> list[logging.LogRecord]:
    listener = Listener()
    LOGGER.addHandler(listener)
    yield listener.records
    LOGGER.removeHandler(listener)


def test_a_study_is_as_far_as_its_syntheses_and_trials() -> None:
    tally = Tally(syntheses=2, trials=6)
    assert tally.share() == (0, "0 of 2 syntheses, 0 of 6 trials")
    tell(tally, Progress("synthesize", "a", 30, 40), Progress("annotate", "x", 1, 9))
    assert tally.share() == (9.4, "0 of 2 syntheses, 0 of 6 trials")
    tell(tally, Progress("synthesize", "a", 40, 40), Progress("trial", "t", 1, 1), Progress("classify", "m", 5, 5))
    tell(tally, Progress("trial", "u", 1, 1, failed=True))
    assert tally.share() == (50, "1 of 2 syntheses, 3 of 6 trials, 1 failed")


@given(st.lists(st.tuples(st.sampled_from(["synthesize", "trial"]), st.integers(0, 9), st.integers(0, 5)), max_size=40))
def test_no_step_makes_more_than_all_of_it(told: list[tuple[str, int, int]]) -> None:
    tally = Tally(syntheses=3, trials=3)
    for stage, name, done in told:
        tell(tally, Progress(stage, str(name), done, 5))
        assert 0 <= tally.share().percent <= 100


def test_a_study_without_cells_is_done() -> None:
    assert Tally(syntheses=0, trials=0).share().percent == 100


def test_a_synthesis_says_what_it_has_kept(heard: list[logging.LogRecord]) -> None:
    steps = Steps("sms_spam · few_shot")
    assert steps.share() == (0, "sms_spam · few_shot: starting")
    steps.report(Progress("synthesize", "sms_spam · few_shot", 5, 40, "2 rejected"))
    assert steps.share() == (12.5, "sms_spam · few_shot: 5 of 40 rows kept (2 rejected)")
    steps.report(Progress("synthesize", "sms_spam · few_shot", 40, 40, "from the store"))
    assert steps.share() == (100, "sms_spam · few_shot: done (from the store)")
    steps.report(Progress("synthesize", "sms_spam · few_shot", 0, 40, "no key", failed=True))
    assert steps.share() == (100, "sms_spam · few_shot: failed (no key)")
    assert [record.levelname for record in heard] == ["INFO", "ERROR"]


def test_ends_are_told_without_any_setting_and_steps_only_while_a_study_runs(heard: list[logging.LogRecord]) -> None:
    step, end = Progress("synthesize", "a", 1, 2), Progress("synthesize", "a", 2, 2)
    announce(step)
    announce(end)
    assert [record.progress for record in heard] == [end]
    with run_log():
        announce(step)
        announce(end)
    assert [(record.progress, getattr(record, "send_to_api", True)) for record in heard[1:]] == [
        (step, False),
        (end, True),
    ]
    announce(step)
    assert len(heard) == 3


def test_a_record_without_a_run_of_its_own_belongs_to_the_study() -> None:
    record = logging.makeLogRecord({"levelno": logging.WARNING})
    assert RunLogFilter("a-flow-run").filter(record)
    assert record.flow_run_id == "a-flow-run" and not hasattr(record, "send_to_api")
