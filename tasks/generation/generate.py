"""Makes LLM calls until each label has its rows. Calls fill all slots and do not wait for other conversations.

After a failure no new calls start, but the open calls are still answered and journaled, because they are paid for. If
an LLM is not embedded, only the next few calls in order are made until its first text, and again after ten answers
without a text.
"""

import asyncio
import copy
import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tasks.errors import RunError
from tasks.generation import keys
from tasks.generation.pipeline import FilterPipeline, texts_of
from tasks.llm import calls, embedded
from tasks.llm.calls import CompletionFunction, UnwantedError
from tasks.llm.empty_answers import IN_A_ROW, has_text
from tasks.llm.journal import CallTotals, Entry, Journal
from tasks.llm.ledger import BudgetReachedError
from tasks.llm.metered import MeteredCalls
from tasks.llm.spending import Spending
from tasks.records import SynthesisJob, TaskData

_gave_texts: set[tuple[Path, str]] = set()
"""Folder and calls key (of draw 0) of calls that returned texts in this process: other draws of the same calls start
with all slots."""

ASSUMED_KEPT = 10
"""Texts that count as kept at the start, so that a few rejected texts at first do not cause many calls."""


def paid_for(pipeline: FilterPipeline, journal: Journal, turns: int) -> CallTotals:
    """Tokens and cost of the calls that were filtered, and of the further calls that this run made."""
    paid = copy.deepcopy(pipeline.paid)
    for call in journal.made():
        label, index = keys.place_of(call, turns)
        if index >= pipeline.done[label]:
            paid.add(journal.entries[call])
    return paid


class GenerationRun:
    """A synthesis that is being generated."""

    def __init__(
        self,
        job: SynthesisJob,
        data: TaskData,
        journal: Journal,
        pipeline: FilterPipeline,
        complete: CompletionFunction,
        spending: Spending,
        progress: Callable[[], None],
    ) -> None:
        self.job, self.data, self.journal, self.pipeline = job, data, journal, pipeline
        self._metered, self._progress = MeteredCalls(journal, complete, spending), progress
        self.turns = keys.template_of(job).turns
        self.stopped = ""
        """Why no more calls are made; empty until then."""
        self._started: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._changed = asyncio.Event()
        self._held_back = 0
        self._same_calls = journal.path.parent, keys.calls_key(dataclasses.replace(job, draw=0), data)
        self._without_text = 0 if self._same_calls in _gave_texts else IN_A_ROW  # answers, since the last with a text
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Make calls until each label has its rows, the calls or the budget are used up, or the answers have no texts.

        Raises the error of a call that failed, and ``RunError`` if nothing was kept because the answers have no texts.
        """
        self._advance()
        if self.pipeline.empty_answers.with_text:
            self._without_text = self.pipeline.empty_answers.in_a_row
        for label in self.job.task.labels:
            self._started[label] = self.pipeline.done[label] // self.turns
        self._fill()
        try:
            await self._idle.wait()
        finally:
            ended = list(self._tasks)
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            await self._metered.settled()
        if self._error:
            raise self._error
        if self._in_vain and not self.pipeline.kept.total():
            raise RunError(self.stopped)

    def _advance(self) -> None:
        """Filter the answers that have come, and stop if they have no texts."""
        self.pipeline.advance()
        if self._in_vain and not self.pipeline.finished and not self.stopped:
            paid = paid_for(self.pipeline, self.journal, self.turns)
            longest = calls.longest_answer(self.job.generator, self.job.task.max_words)
            self.stopped = self.pipeline.empty_answers.reason(longest, paid, self.journal.path)

    @property
    def _in_vain(self) -> bool:
        """Whether calls may cost money and return no texts."""
        return self.pipeline.empty_answers.enough and not embedded.is_embedded(self.job.generator.model)

    @property
    def _over(self) -> bool:
        return bool(self.pipeline.finished or self.stopped or self._error)

    def _fill(self) -> None:
        """Start conversations while more are needed and slots are free."""
        while not self._over and len(self._tasks) - self._held_back < calls.in_flight(self.job.generator):
            label = max(self.job.task.labels, key=self._needed)
            if self._needed(label) <= 0:
                break
            task = asyncio.create_task(self._converse(label, self._started[label]))
            self._started[label] += 1
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if not self._tasks:
            self._idle.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._error = task.exception() or self._error  # always retrieved: asyncio logs exceptions that are not
        self._wake()
        self._fill()

    def _needed(self, label: str) -> int:
        """How many more conversations to start for a label's missing rows, at its share of kept texts so far."""
        if not self.pipeline.open(label) or not self._may_ask(label, self._started[label] * self.turns):
            return 0
        pipeline = self.pipeline
        done, looked, kept = pipeline.done[label], pipeline.looked[label], pipeline.kept[label]
        per_row = (looked + ASSUMED_KEPT) / (kept + ASSUMED_KEPT)
        texts = min((pipeline.rows_wanted[label] - kept) * per_row, pipeline.most_texts[label] - looked)
        a_call = looked / done if done else calls.completions(self.job.generator) * pipeline.form.texts
        return math.ceil((done + texts / a_call) / self.turns) - self._started[label]

    async def _converse(self, label: str, conversation: int) -> None:
        earlier: tuple[str, ...] = ()
        for turn in range(self.turns):
            index = conversation * self.turns + turn
            await self._until_allowed(label, index)
            if self._over or not self.pipeline.open(label):
                return
            entry = await self._ask(label, index, earlier)
            if entry is None:
                return
            if text := self._reply_text(entry):
                earlier = (*earlier, text)
            self._without_text = 0 if has_text([text]) else self._without_text + 1
            (_gave_texts.add if self._without_text < IN_A_ROW else _gave_texts.discard)(self._same_calls)
            self._advance()
            self._wake()
            self._progress()
            self._fill()

    def _may_ask(self, label: str, index: int) -> bool:
        """Whether a call may be made: recent answers have texts, or it is one of the next few calls in order."""
        if self._without_text < IN_A_ROW or embedded.is_embedded(self.job.generator.model):
            return True
        return (label, index) in self.pipeline.upcoming(max(1, IN_A_ROW - self.pipeline.empty_answers.in_a_row))

    async def _until_allowed(self, label: str, index: int) -> None:
        """Wait until a call may be made. A waiting call holds no slot, because earlier calls may need one."""
        if self._over or self._may_ask(label, index):
            return
        self._held_back += 1
        self._fill()
        try:
            while not (self._over or self._may_ask(label, index)):
                await self._changed.wait()
        finally:
            self._held_back -= 1

    def _wake(self) -> None:
        """Let waiting calls check again whether they may be made."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _reply_text(self, entry: Entry) -> str:
        """The reply that is shown in the next turn: the first text, or the whole answer if it has several texts."""
        for answer, text in texts_of(entry, self.job.task, self.pipeline.form):
            if text:
                return text if self.pipeline.form.texts == 1 else answer.text.strip()
        return ""

    async def _ask(self, label: str, index: int, earlier: tuple[str, ...]) -> Entry | None:
        """The answer of a call, from the journal or the LLM; null if the budget is reached or the call is no longer
        wanted.
        """
        call = keys.call_id(label, index, self.turns)
        if (known := self.journal.entries.get(call)) is not None:
            return known
        request = dataclasses.replace(
            keys.request(self.job, self.data, label, index, earlier),
            wanted=lambda: self._error is None and self.pipeline.open(label),
        )
        try:
            return await self._metered.call(call, request)
        except BudgetReachedError as limit:
            self.stopped = str(limit)
            return None
        except UnwantedError:
            return None
