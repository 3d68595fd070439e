"""Asks for texts until each label has its rows: every slot busy, no call waiting for another conversation's.

What fails ends the work, but only after the calls under way were answered and journaled: they are paid for. An LLM
that costs something has to show first that it gives texts at all: until one came, and when none have come for a while,
only the next few calls in order are made.
"""

import asyncio
import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tasks.errors import RunError
from tasks.generation import keys
from tasks.generation.pipeline import Sieve, texts_of
from tasks.llm import calls, embedded
from tasks.llm.calls import Complete, UnwantedError
from tasks.llm.empty_answers import IN_A_ROW, speaks
from tasks.llm.journal import Entry, Journal
from tasks.llm.ledger import BudgetReachedError
from tasks.llm.metered import Asking
from tasks.llm.spending import Spending
from tasks.records import SynthesisJob, TaskData

_giving: set[tuple[Path, str]] = set()
"""What gave texts in this process: calls that differ by their draw alone need not show again that they do."""

FIRST_FAITH = 10
"""Texts that count as kept before any was looked at: the first few rejects shall not send for many more at once."""


class Writing:
    """One synthesis at work."""

    def __init__(
        self,
        job: SynthesisJob,
        data: TaskData,
        journal: Journal,
        sieve: Sieve,
        complete: Complete,
        spending: Spending,
        progress: Callable[[], None],
    ) -> None:
        self.job, self.data, self.journal, self.sieve = job, data, journal, sieve
        self._asking, self._progress = Asking(journal, complete, spending), progress
        self.turns = keys.writer_of(job).turns
        self.stopped = ""
        """Why no more is asked for, empty while more is."""
        self.asked = self._asking.asked
        """Calls that were made, rather than found in the journal."""
        self._started: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._moved = asyncio.Event()
        self._parked = 0
        self._kind = journal.path.parent, keys.calls_key(dataclasses.replace(job, draw=0), data)
        self._silent = 0 if self._kind in _giving else IN_A_ROW  # without a text since one had one, as they came in
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Write until the sieve is satisfied, the calls are used up or the budget is, or no texts come.

        Raises what a call raised, and ``RunError`` where nothing was kept because no texts came.
        """
        self._advance()
        if self.sieve.fruitless.fruitful:
            self._silent = self.sieve.fruitless.in_a_row
        for label in self.job.task.labels:
            self._started[label] = self.sieve.done[label] // self.turns
        self._fill()
        try:
            await self._idle.wait()
        finally:
            ended = list(self._tasks)
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            await self._asking.settled()
        if self._error:
            raise self._error
        if self._fruitless and not self.sieve.kept.total():
            raise RunError(self.stopped)

    def _advance(self) -> None:
        """Sift what is there, and see whether it is worth while to ask on."""
        self.sieve.advance()
        if self._fruitless and not self.sieve.finished and not self.stopped:
            used = {entry.call for entry in self.sieve.used}
            paid = [*self.sieve.used, *(entry for entry in self.asked if entry.call not in used)]
            longest = calls.longest_answer(self.job.generator, self.job.task.max_words)
            self.stopped = self.sieve.fruitless.reason(longest, paid, self.journal.path)

    @property
    def _fruitless(self) -> bool:
        """Calls are paid for and bring no texts."""
        return self.sieve.fruitless.enough and not embedded.is_embedded(self.job.generator.model)

    @property
    def _over(self) -> bool:
        return bool(self.sieve.finished or self.stopped or self._error)

    def _fill(self) -> None:
        """Start as many conversations as are needed and as slots are free."""
        while not self._over and len(self._tasks) - self._parked < calls.in_flight(self.job.generator):
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
            self._error = task.exception() or self._error  # asked of every task: asyncio logs what nobody asked for
        self._wake()
        self._fill()

    def _needed(self, label: str) -> int:
        """Conversations that a label's missing rows should take, at its yield so far, beyond those started."""
        if not self.sieve.open(label) or not self._may_ask(label, self._started[label] * self.turns):
            return 0
        sieve = self.sieve
        done, looked, kept = sieve.done[label], sieve.looked[label], sieve.kept[label]
        per_row = (looked + FIRST_FAITH) / (kept + FIRST_FAITH)
        texts = min((sieve.rows_wanted[label] - kept) * per_row, sieve.most_texts[label] - looked)
        a_call = looked / done if done else calls.completions(self.job.generator) * sieve.form.texts
        return math.ceil((done + texts / a_call) / self.turns) - self._started[label]

    async def _converse(self, label: str, conversation: int) -> None:
        earlier: tuple[str, ...] = ()
        for turn in range(self.turns):
            index = conversation * self.turns + turn
            await self._allowed(label, index)
            if self._over or not self.sieve.open(label):
                return
            entry = await self._ask(label, index, earlier)
            if entry is None:
                return
            if said := self._said(entry):
                earlier = (*earlier, said)
            self._hear(said)
            self._sift()

    def _hear(self, said: str) -> None:
        """Note whether an answer that came in holds a text."""
        self._silent = 0 if speaks([said]) else self._silent + 1
        if self._silent < IN_A_ROW:
            _giving.add(self._kind)
        else:
            _giving.discard(self._kind)

    def _may_ask(self, label: str, index: int) -> bool:
        """Whether a call is one of the next few in order, or texts are coming."""
        if self._silent < IN_A_ROW or embedded.is_embedded(self.job.generator.model):
            return True
        return (label, index) in self.sieve.upcoming(max(1, IN_A_ROW - self.sieve.fruitless.in_a_row))

    async def _allowed(self, label: str, index: int) -> None:
        """Wait until a call may be made. Who waits holds no slot: calls before it may need one."""
        if self._over or self._may_ask(label, index):
            return
        self._parked += 1
        self._fill()
        try:
            while not (self._over or self._may_ask(label, index)):
                await self._moved.wait()
        finally:
            self._parked -= 1

    def _wake(self) -> None:
        """Have those that wait look again."""
        self._moved.set()
        self._moved = asyncio.Event()

    def _said(self, entry: Entry) -> str:
        """What a conversation goes on with: the first text of an answer that has one, or the answer of several."""
        for answer, text in texts_of(entry, self.job.task, self.sieve.form):
            if text:
                return text if self.sieve.form.texts == 1 else answer.text.strip()
        return ""

    def _sift(self) -> None:
        self._advance()
        self._wake()
        self._progress()
        self._fill()

    async def _ask(self, label: str, index: int, earlier: tuple[str, ...]) -> Entry | None:
        """The answer of a call, from the journal or the LLM; null when the budget or a failure forbids it."""
        call = keys.call_id(label, index, self.turns)
        if (known := self.journal.entries.get(call)) is not None:
            return known
        request = dataclasses.replace(
            keys.request(self.job, self.data, label, index, earlier),
            wanted=lambda: self._error is None and self.sieve.open(label),
        )
        try:
            return await self._asking.ask(call, request)
        except BudgetReachedError as limit:
            self.stopped = str(limit)
            return None
        except UnwantedError:
            return None
