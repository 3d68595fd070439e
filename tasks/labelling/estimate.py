"""The remaining cost of untrained arms, annotators and judges, estimated before any call, and their cost so far.

Answers in the store or in a journal are already paid for. The embedded LLM reads the common beginning of the prompts
once for each slot in use; for every other LLM, each prompt is paid for in full.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.config import SubjectivityConfig
from tasks.labelling.interview import Interview, call_id
from tasks.labelling.judges import judge_interviews, stored_judgements
from tasks.labelling.panel import panel, stored_votes
from tasks.labelling.untrained import UntrainedJob, interview, stored_untrained
from tasks.llm import embedded
from tasks.llm.estimate import NOTHING, Estimate, total
from tasks.llm.journal import CallTotals, Entry, read_journal
from tasks.llm.prices import price
from tasks.llm.tokens import count_messages
from tasks.records import Spent, TaskData
from tasks.settings import Settings

END_TOKENS = 1
"""Tokens that end an answer."""


@dataclass(frozen=True, slots=True)
class _Size:
    opening: int
    questions: int
    answers: int


def estimate_untrained(job: UntrainedJob, data: TaskData, settings: Settings) -> Estimate:
    """The remaining cost of an untrained cell; nothing if it calls no LLM or is in the store."""
    if job.generator is None or stored_untrained(job, data, settings) is not None:
        return NOTHING
    return _estimate(interview(job, data), settings)


def estimate_panel(data: TaskData, config: SubjectivityConfig, test_rows: int | None, settings: Settings) -> Estimate:
    """The remaining cost of the annotators of a task."""
    if stored_votes(data, config, test_rows, settings) is not None:
        return NOTHING
    return total(_estimate(asked, settings) for asked in panel(data, config, test_rows))


def estimate_judges(data: Sequence[TaskData], config: SubjectivityConfig, settings: Settings) -> Estimate:
    """The remaining cost of the judges of tasks."""
    if stored_judgements(data, config, settings) is not None:
        return NOTHING
    return total(_estimate(asked, settings) for asked, _ in judge_interviews(data, config))


def spent(asked: Iterable[Interview], settings: Settings) -> Spent:
    """The cost of the questions of interviews so far, by their journals on this machine.

    A journal may also have questions of other studies with the same opening; these are not counted.
    """
    wanted: dict[Path, set[str]] = {}
    for item in asked:
        wanted.setdefault(item.journal(settings), set()).update(map(call_id, item.questions))
    entries = (entry for path, calls in wanted.items() for call, entry in read_journal(path).items() if call in calls)
    return CallTotals.of(entries).spent


def _estimate(asked: Interview, settings: Settings) -> Estimate:
    known = read_journal(asked.journal(settings))
    missing = list(dict.fromkeys(question for question in asked.questions if call_id(question) not in known))
    size = _Size(
        opening=count_messages(asked.opening),
        questions=sum(count_messages(({"role": "user", "content": question},)) for question in missing),
        answers=len(missing) * (max(len(option) for option in asked.options) // 4 + 1 + END_TOKENS),
    )
    tokens_in = len(missing) * size.opening + size.questions
    costs = price(asked.llm)
    cost = costs.of(tokens_in, size.answers) if costs else None
    return Estimate(len(missing), tokens_in, size.answers, cost, _seconds(asked, len(missing), size, known.values()))


def _seconds(asked: Interview, missing: int, size: _Size, known: Iterable[Entry]) -> float | None:
    """Estimated from the calls of this interview so far or, only for the embedded LLM, from its tokens."""
    past = list(known)
    if not missing:
        return 0.0
    if past:
        return missing * CallTotals.of(past).seconds / len(past)
    if embedded.is_embedded(asked.llm.model):
        read = size.opening * min(missing, asked.in_flight) + size.questions
        return read / embedded.PROMPT_RATE + size.answers / embedded.ANSWER_RATE
    return None
