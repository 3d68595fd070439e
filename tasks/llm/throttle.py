"""How many calls a provider is sent at once, and how fast: found by asking, because hardly any provider says.

Calls in flight grow while they are answered and are halved when one fails (additive increase, multiplicative
decrease: Chiu and Jain 1989). A refusal (429) is about calls per second: from the first one on, calls start evenly
spaced at the rate that was accepted, which is then tried upwards. Where none was accepted nothing is known but that the
provider is closed: after a pause it is tried with one call, and then with more as at first. A provider that only fails
is left alone for a while and then tried with one call, too (circuit breaker).
"""

import asyncio
import logging
import math
import time
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from tasks.llm.calls import UnwantedError, always
from tasks.waiting import Waits

LOGGER = logging.getLogger("synthgap")

FIRST_WINDOW = 16
"""Calls in flight to begin with; doubled with every round of answers until one fails or is refused."""
SPREAD = 0.4
"""Share of an answer's time over which the calls of a round that is being doubled start, so that a first refusal is
heard before all of them are sent."""
REFUSED_CUT = 0.95
"""What is left of the rate after a refusal: near the limit, since the next attempt to pass it is near, too."""
LOOK_BACK, CROWDED = 2.0, 1.5
"""Seconds before the first refused call began that tell of the rate, and the most crowded span in them that counts as
the second which the provider accepted: the very first calls reach it tenths of a second after they start, while the
client is still being set up, and a rate too low takes longer to mend than one a little too high."""
STEADY = 5.0
"""Seconds without a refusal before a faster rate is tried."""
GROWTH, FASTEST_GROWTH = 0.01, 0.5
"""Growth of the rate per second then, as a share of it; doubled every ``STEADY`` seconds, up to the second figure."""
BREAK_AFTER = 10
"""Failures in a row that open the circuit."""
FIRST_BREAK, LONGEST_BREAK = 2.0, 60.0
"""Seconds that it stays open, doubled each time that the call after it fails as well."""
STUBBORN = 3
"""Refusals in a row, seconds apart, that show a provider to count by the minute: at the next one its rate is what the
last minute let through."""
HORIZON = 60.0
"""Seconds over which accepted calls are remembered."""
LONGEST_WAIT = 60.0
"""Most seconds that a refusal keeps calls back, whatever the provider wishes."""


class GivenUpError(Exception):
    """The provider failed too long, as the message says; a call that waited for its turn is not made."""


class Turn:
    """One call that may be made now; it tells how it went."""

    def __init__(self, throttle: "Throttle", started: float) -> None:
        self._throttle, self._started = throttle, started

    def answered(self) -> None:
        """The provider answered."""
        self._throttle.answered(self._started)

    def refused(self, retry_after: float | None) -> None:
        """The provider wants fewer calls; ``retry_after`` in seconds where it said when."""
        self._throttle.refused(self._started, retry_after)

    def failed(self) -> None:
        """Time-out, broken connection or error of the server."""
        self._throttle.failed(self._started)


class Throttle:
    """The calls to one provider. Lives on one event loop.

    ``most`` calls are in flight at once. ``requests_per_minute`` and ``tokens_per_minute`` are limits that the user
    knows; null sets none. ``clock`` in seconds.
    """

    def __init__(
        self,
        most: int,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.window = float(min(most, FIRST_WINDOW))
        """Calls that may be in flight."""
        self.rate: float | None = None
        """Calls that may start in a second; null until one was refused where others were accepted."""
        self.last_answer = clock()
        """When a call was answered last, or when all began."""
        self.breaks = 0
        """Times that the circuit opened since then."""
        self.given_up = 0
        """Times that the provider was given up."""
        self.waits = Waits()
        """Says what the calls wait for."""
        self._most, self._name, self._clock = most, name, clock
        self._requests = AsyncLimiter(1, 60 / requests_per_minute) if requests_per_minute else None
        self._tokens = AsyncLimiter(tokens_per_minute, 60) if tokens_per_minute else None
        self._latency = 0.0  # of the last answer
        self._threshold = float(most)  # up to here the window doubles, beyond it grows by one a round
        self._running, self._waiting = 0, deque[tuple[asyncio.Future[float], Callable[[], bool]]]()
        self._at_limits = asyncio.Lock()
        self._not_before = self._next_start = self._window_cut = self._rate_cut = self._rate_set = -math.inf
        self._first_cut = self._burst = math.nan  # when the first refusal came, and since when starts tell of the rate
        self._begun = self.last_answer
        self._starts = deque[float]()
        self._refusals = self._failures = 0
        self._by_the_minute = False
        self._break = FIRST_BREAK
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, tokens: int, wanted: Callable[[], bool] = always) -> AsyncIterator[Turn]:
        """Wait until a call of at most so many tokens may be made.

        Raises ``GivenUpError``, and ``UnwantedError`` for a call that is not ``wanted`` when its turn comes.
        """
        if self._tokens or self._requests:
            with self.waits.said(lambda: f"{self._name}, for the limits that the study sets it"):
                await self._limits(tokens, wanted)
        waiting: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiting, wanted))
        self._wake()
        try:
            with self.waits.said(self._closed):
                started = await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and not waiting.exception():
                self._leave()
            raise
        try:
            if not wanted():
                raise UnwantedError
            yield Turn(self, started)
        finally:
            self._leave()

    def give_up(self, why: str) -> None:
        """Make none of the calls that wait: ``turn`` raises ``GivenUpError`` for them. Later ones are tried again."""
        self.given_up += 1
        self.breaks = 0
        while self._waiting:
            waiting, _ = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(GivenUpError(why))

    async def _limits(self, tokens: int, wanted: Callable[[], bool]) -> None:
        """Wait for the limits that the user knows, one by one: who is not wanted any more then holds nobody up."""
        async with self._at_limits:
            if not wanted():
                raise UnwantedError
            if self._tokens:
                await self._tokens.acquire(min(tokens, self._tokens.max_rate))
            if self._requests:
                await self._requests.acquire()

    def _closed(self) -> str:
        """What keeps calls back, for people; empty where it is only other calls, which have a time-out each."""
        again = self._not_before - self._clock()
        if again > 0 and self._failures >= BREAK_AFTER:
            return f"{self._name}, which failed {self._failures} times in a row and is tried again in {again:.0f} s"
        if again > 0:
            return f"{self._name}, which refuses calls (429) and is tried again in {again:.0f} s"
        return f"{self._name}, which accepts {self.rate:.2g} calls a second" if self.rate else ""

    def _leave(self) -> None:
        self._running -= 1
        self._wake()

    def _wake(self) -> None:
        """Let waiting calls go, as many as may; come back by a timer where only time keeps them."""
        self._drop_unwanted()
        while self._waiting and self._running < int(self.window):
            now = self._clock()
            gap = self._gap()
            begin = max(self._not_before, self._next_start if gap else -math.inf)
            if begin > now:
                self._later(begin - now)
                return
            waiting, _ = self._waiting.popleft()
            self._next_start = max(now, self._next_start) + gap
            self._running += 1
            self._note(now)
            waiting.set_result(now)
            self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        """Take those out of the front of the queue that do not wait, or need not wait, any more."""
        while self._waiting and (self._waiting[0][0].done() or not self._waiting[0][1]()):
            waiting, _ = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(UnwantedError())

    def _gap(self) -> float:
        """Seconds between two starts."""
        if self.rate:
            return 1 / self.rate
        growing = FIRST_WINDOW < self.window < min(self._most, self._threshold)
        return SPREAD * self._latency / self.window if growing else 0.0

    def _later(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0.001), self._wake)

    def _note(self, now: float) -> None:
        self._starts.append(now)
        while self._starts[0] < now - HORIZON:
            self._starts.popleft()

    def answered(self, started: float) -> None:
        """A call that began at ``started`` was answered: more may follow."""
        now = self.last_answer = self._clock()
        self._latency = now - started
        self._failures = self.breaks = 0
        self._break = FIRST_BREAK
        if started > self._rate_cut:
            self._refusals = 0
        self.window = min(self._most, self.window + (1 if self.window < self._threshold else 1 / self.window))
        steady = now - max(self._rate_cut, self._not_before) - STEADY
        if self.rate and steady > 0:
            growth = min(FASTEST_GROWTH, GROWTH * 2 ** (steady / STEADY))
            self.rate *= 1 + growth * min(1.0, now - max(self._rate_set, self._rate_cut + STEADY))
            self._rate_set = now
        self._wake()

    def refused(self, started: float, retry_after: float | None) -> None:
        """A call that began at ``started`` was one too many."""
        now = self._clock()
        if retry_after is not None:
            self._hold(min(retry_after, LONGEST_WAIT))
        if started in self._starts:
            self._starts.remove(started)
        if started > self._rate_cut:
            self._refusals += 1
            if retry_after is None and (self.rate is None or self._refusals > 1):
                self._hold(min(2.0 ** max(0, self._refusals - 2), LONGEST_WAIT))  # a second may just be full
            if self.rate is None:
                self._first_cut, self._burst = now, started - LOOK_BACK
            elif self._refusals == 1:
                self.rate = REFUSED_CUT * (self._minute_rate(now) if self._by_the_minute else self.rate)
            self._by_the_minute = self._refusals >= STUBBORN
            self._rate_cut = self._rate_set = now
        if self._rate_cut == self._first_cut:  # those refused after it were sent before it: now more is known
            accepted = self._most_accepted()
            self.rate = REFUSED_CUT * accepted if accepted else None
            if not accepted:
                self.window = 1.0
        LOGGER.debug("%s refuses calls; on with %s a second", self._name, self.rate)

    def _most_accepted(self) -> int:
        """Calls of the most crowded span before the first refusal, those that were refused as well left out."""
        starts = [start for start in self._starts if self._burst < start <= self._first_cut]
        return max((bisect_left(starts, start + CROWDED) - i for i, start in enumerate(starts)), default=0)

    def _minute_rate(self, now: float) -> float:
        """Calls a second that the last minute let through."""
        return len(self._starts) / min(HORIZON, max(1.0, now - self._begun))

    def failed(self, started: float) -> None:
        """A call that began at ``started`` failed: half as many at once, and a pause when nothing else happens."""
        now = self._clock()
        self._failures += 1
        if started > self._window_cut:
            self._window_cut = now
            self._threshold = self.window = max(1.0, self.window / 2)
        if self._failures >= BREAK_AFTER and self._not_before <= now:
            LOGGER.warning("%s failed %d times in a row; waiting %g s", self._name, self._failures, self._break)
            self._hold(self._break)
            self.breaks += 1
            self._break = min(LONGEST_BREAK, self._break * 2)
            self.window = 1.0

    def _hold(self, seconds: float) -> None:
        self._not_before = max(self._not_before, self._clock() + seconds)
