"""Asks the questions of an interview that its journal does not answer, until the budget is reached.

A failure ends the interview only after the calls in flight were answered and journaled, because they are paid for.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tasks.errors import RunError, UserError
from tasks.labelling.answers import parse
from tasks.labelling.interview import Interview, call_id
from tasks.llm import embedded, loop
from tasks.llm.calls import CompletionFunction, UnwantedError
from tasks.llm.empty_answers import EmptyAnswers
from tasks.llm.journal import CallTotals, Entry, Journal, answered_by, open_journal
from tasks.llm.ledger import BudgetReachedError, Ledger
from tasks.llm.metered import MeteredCalls, connect, spending_of
from tasks.progress import Progress
from tasks.settings import Settings
from tasks.store import Store

LOGGER = logging.getLogger("synthgap")

Step = Callable[[int], None]
"""Called with the number of questions of the interview that are answered."""
Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """One completed call. ``option`` is null if the answer names none."""

    option: str | None
    entry: Entry


@dataclass(frozen=True)
class Replies:
    """The result of an interview."""

    interview: Interview
    replies: tuple[Reply | None, ...]
    """One reply for each question; null for questions that were not asked."""
    stopped: str = ""
    """Why some questions were not asked; empty if all were."""

    @property
    def unanswered(self) -> float | None:
        """Share of answers that name no option; null without answers."""
        put = [reply for reply in self.replies if reply is not None]
        return sum(reply.option is None for reply in put) / len(put) if put else None


class _InterviewRun:
    """A running interview."""

    def __init__(self, interview: Interview, journal: Journal, metered: MeteredCalls, step: Step) -> None:
        self.stopped = ""
        self._interview, self._metered, self._step = interview, metered, step
        missing = [q for q in interview.questions if call_id(q) not in journal.entries]
        self._waiting = iter(dict.fromkeys(missing))
        self._done = len(interview.questions) - len(missing)
        self._failed = False
        self._journal = journal
        self._order = dict.fromkeys(map(call_id, interview.questions))
        self._empty_answers = EmptyAnswers()
        self._looked = iter(self._order)
        self._next = next(self._looked, None)

    async def run(self) -> None:
        """Ask all missing questions.

        Raises the error of the first failed call, and ``RunError`` if too many answers are empty.
        """
        self._look()
        try:
            ends = await asyncio.gather(
                *(self._work() for _ in range(self._interview.in_flight)), return_exceptions=True
            )
        finally:
            await self._metered.settled()
        for end in ends:
            if end is not None:
                raise end

    async def _work(self) -> None:
        for question in self._waiting:
            try:
                request = replace(self._interview.request(question), wanted=self._wanted)
                await self._metered.call(call_id(question), request)
            except BudgetReachedError as limit:
                self.stopped = str(limit)
            except UnwantedError:
                return
            except BaseException:
                self._failed = True
                raise
            if self.stopped or self._failed:
                return
            self._done += 1
            self._step(self._done)
            self._look()

    def _wanted(self) -> bool:
        return not (self._failed or self.stopped)

    def _look(self) -> None:
        """Check the answers in the order of the questions. Raises ``RunError`` if too many have no text."""
        while self._next is not None and (entry := self._journal.entries.get(self._next)) is not None:
            self._empty_answers.add(entry, [entry.answers[0].text])
            self._next = next(self._looked, None)
        in_vain = self._empty_answers.enough and not embedded.is_embedded(self._interview.llm.model)
        if in_vain and self._next is not None:
            paid = CallTotals.of(entry for call, entry in self._journal.entries.items() if call in self._order)
            self._failed = True
            reason = self._empty_answers.reason(self._interview.max_tokens, paid, self._journal.path)
            raise RunError(f"{self._interview.name}: {reason}")


def run_interview(
    interview: Interview,
    settings: Settings,
    ledger: Ledger | None = None,
    complete: CompletionFunction | None = None,
    step: Step = lambda done: None,
) -> Replies:
    """Ask the questions of an interview that its journal does not answer, through litellm if ``complete`` is null.

    Raises ``RunError`` if the LLM fails or another LLM answers; every completed call is then in the journal.
    """
    with open_journal(interview.journal(settings), interview.name, answered_by(interview.llm.model)) as journal:
        stopped = ""
        if any(call_id(question) not in journal.entries for question in interview.questions):
            Store(settings.store_url).check_writable()
            spending = spending_of(interview.llm, ledger)
            metered = MeteredCalls(journal, complete or connect(interview.generator), spending)
            work = _InterviewRun(interview, journal, metered, step)
            loop.run(work.run())
            stopped = work.stopped
        entries = [journal.entries.get(call_id(question)) for question in interview.questions]
        replies = tuple(
            None if item is None else Reply(parse(item.answers[0].text, interview.options), item) for item in entries
        )
        return Replies(interview, replies, stopped if None in replies else "")


def run_interviews(
    interviews: Sequence[Interview],
    progress: Callable[[int, str], Progress],
    report: Report,
    settings: Settings,
    ledger: Ledger | None = None,
    complete: CompletionFunction | None = None,
) -> list[Replies]:
    """Run several interviews, one after the other. ``progress`` makes a report from the answered questions and a note.

    Raises like ``run_interview``, after reporting the failure. If the budget is reached, or answers name no option,
    this is logged.
    """
    done, found = 0, []
    try:
        for interview in interviews:
            step = partial(_step, done, progress, report)
            found.append(run_interview(interview, settings, ledger, complete, step))
            done += len(interview.questions)
    except (RunError, UserError) as error:
        report(replace(progress(done, str(error)), failed=True))
        raise
    for replies in found:
        _complain(replies)
    return found


def _step(before: int, progress: Callable[[int, str], Progress], report: Report, done: int) -> None:
    state = progress(before + done, "")
    if not state.finished:  # the end is reported when the answers are stored
        report(state)


def _complain(replies: Replies) -> None:
    name = replies.interview.name
    if replies.stopped:
        put = sum(reply is not None for reply in replies.replies)
        LOGGER.warning("%s: %s after %d of %d questions", name, replies.stopped, put, len(replies.replies))
    if replies.unanswered:
        LOGGER.warning(
            "%s: %.1f%% of the answers name none of the options; they count as no answer",
            name,
            100 * replies.unanswered,
        )
