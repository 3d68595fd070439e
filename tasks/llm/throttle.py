"""The queue of calls to one provider. Concurrency and rate adapt to its responses, because few providers state limits.

There are three policies, each in its own file: ``window`` (calls in flight), ``pace`` (calls a second, after a refusal)
and ``breaker`` (a provider that only fails). If a provider refused all calls or failed ten times in a row, calls are
held back for a while, and then a single call is tried.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from tasks.llm.breaker import Breaker
from tasks.llm.calls import UnwantedError, always
from tasks.llm.pace import Pace
from tasks.llm.window import Window
from tasks.waiting import Waits

LOGGER = logging.getLogger("synthgap")


class GivenUpError(Exception):
    """The provider failed for too long, as the message says; waiting calls are not made."""


class Permit:
    """Permission to make one call now; its methods report the outcome."""

    def __init__(self, throttle: "Throttle", started: float) -> None:
        self._throttle, self._started = throttle, started

    def answered(self) -> None:
        """The provider answered."""
        self._throttle.answered(self._started)

    def refused(self, retry_after: float | None) -> None:
        """The provider wants fewer calls; ``retry_after`` in seconds, if the provider gave it."""
        self._throttle.refused(self._started, retry_after)

    def failed(self) -> None:
        """Time-out, broken connection or error of the server."""
        self._throttle.failed(self._started)


class Throttle:
    """The calls to one provider. It must be used on a single event loop.

    At most ``most`` calls are in flight. ``requests_per_minute`` and ``tokens_per_minute`` are limits that the user
    knows; null means no limit. ``clock`` returns seconds.
    """

    def __init__(
        self,
        most: int,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.last_answer = clock()
        """When a call was last answered; at first, the time of the start."""
        self.given_up = 0
        """How often the provider was given up."""
        self.waits = Waits()
        """Logs what the calls wait for."""
        self._name, self._clock = name, clock
        self._window, self._pace, self._breaker = Window(most), Pace(self.last_answer), Breaker()
        self._requests = AsyncLimiter(1, 60 / requests_per_minute) if requests_per_minute else None
        self._tokens = AsyncLimiter(tokens_per_minute, 60) if tokens_per_minute else None
        self._at_limits = asyncio.Lock()
        self._running, self._waiting = 0, deque[tuple[asyncio.Future[float], Callable[[], bool]]]()
        self._closed_until = self._next_start = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def breaks(self) -> int:
        """How often the circuit opened since a call was answered."""
        return self._breaker.breaks

    @asynccontextmanager
    async def permit(self, tokens: int, wanted: Callable[[], bool] = always) -> AsyncIterator[Permit]:
        """Wait until a call of at most ``tokens`` tokens may be made.

        Raises ``GivenUpError``, and ``UnwantedError`` for a call that is not ``wanted`` when its turn comes.
        """
        if self._tokens or self._requests:
            with self.waits.said(lambda: f"{self._name}, for the limits that the study sets it"):
                await self._limits(tokens, wanted)
        waiting: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiting, wanted))
        self._wake()
        try:
            with self.waits.said(self._reason):
                started = await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and not waiting.exception():
                self._leave()
            raise
        try:
            if not wanted():
                raise UnwantedError
            yield Permit(self, started)
        finally:
            self._leave()

    def give_up(self, why: str) -> None:
        """Make none of the waiting calls: ``permit`` raises ``GivenUpError`` for them. Later calls are tried again."""
        self.given_up += 1
        self._breaker.breaks = 0
        while self._waiting:
            waiting, _ = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(GivenUpError(why))

    async def _limits(self, tokens: int, wanted: Callable[[], bool]) -> None:
        """Wait for the limits that the user gave, one call at a time; unwanted calls delay no others."""
        async with self._at_limits:
            if not wanted():
                raise UnwantedError
            if self._tokens:
                await self._tokens.acquire(min(tokens, self._tokens.max_rate))
            if self._requests:
                await self._requests.acquire()

    def _reason(self) -> str:
        """Why calls are held back, for display; empty if they only wait for other calls, which all have a time-out."""
        again = self._closed_until - self._clock()
        if again > 0 and self._breaker.open:
            failures = self._breaker.failures
            return f"{self._name}, which failed {failures} times in a row and is tried again in {again:.0f} s"
        if again > 0:
            return f"{self._name}, which refuses calls (429) and is tried again in {again:.0f} s"
        return f"{self._name}, which accepts {self._pace.rate:.2g} calls a second" if self._pace.rate else ""

    def _leave(self) -> None:
        self._running -= 1
        self._wake()

    def _wake(self) -> None:
        """Start as many waiting calls as allowed; set a timer if the others only have to wait for some time."""
        self._drop_unwanted()
        while self._waiting and self._running < int(self._window.size):
            now = self._clock()
            gap = 1 / self._pace.rate if self._pace.rate else self._window.gap
            begin = max(self._closed_until, self._next_start if gap else -math.inf)
            if begin > now:
                if self._timer:
                    self._timer.cancel()
                self._timer = asyncio.get_running_loop().call_later(max(begin - now, 0.001), self._wake)
                return
            waiting, _ = self._waiting.popleft()
            self._next_start = max(now, self._next_start) + gap
            self._running += 1
            self._pace.started(now)
            waiting.set_result(now)
            self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        """Remove calls from the front of the queue that do not wait, or need not wait, any longer."""
        while self._waiting and (self._waiting[0][0].done() or not self._waiting[0][1]()):
            waiting, _ = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(UnwantedError())

    def answered(self, started: float) -> None:
        """A call that began at ``started`` was answered: more calls may be in flight."""
        now = self.last_answer = self._clock()
        self._breaker.answered()
        self._window.answered(started, now)
        self._pace.answered(started, now, self._closed_until)
        self._wake()

    def refused(self, started: float, retry_after: float | None) -> None:
        """A call that began at ``started`` was refused."""
        self._close(self._pace.refused(started, self._clock(), retry_after))
        if self._pace.rate is None:
            self._window.one_call()
        LOGGER.debug("%s refuses calls; on with %s a second", self._name, self._pace.rate)

    def failed(self, started: float) -> None:
        """A call that began at ``started`` failed: fewer calls in flight, and a pause if nothing else happens."""
        now = self._clock()
        self._window.failed(started, now)
        pause = self._breaker.failed(closed=self._closed_until > now)
        if pause is not None:
            LOGGER.warning("%s failed %d times in a row; waiting %g s", self._name, self._breaker.failures, pause)
            self._close(pause)
            self._window.one_call()

    def _close(self, pause: float | None) -> None:
        """Hold all calls back for some seconds."""
        if pause is not None:
            self._closed_until = max(self._closed_until, self._clock() + pause)
