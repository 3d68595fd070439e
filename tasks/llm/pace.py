"""The rate at which calls start: the rate that a provider accepted before it refused a call (429), later increased.

A refusal concerns calls per second. If no call was accepted before it, the rate is unknown: calls pause, and no rate is
set.
"""

import math
from bisect import bisect_left
from collections import deque

REFUSED_CUT = 0.95
"""Share of the rate that is kept after a refusal: close to the limit, because the rate is raised again soon."""
LOOK_BACK, CROWDED = 2.0, 1.5
"""The rate is that of the busiest span (second value, in seconds) within the time before the first refused call began
(first value). The span counts as one second, because the very first calls arrive tenths of a second late, while the
client is being set up, and because a rate that is too low takes longer to correct than one that is a little too
high."""
STEADY = 5.0
"""Seconds without a refusal before a faster rate is tried."""
GROWTH, FASTEST_GROWTH = 0.01, 0.5
"""Growth of the rate a second, as a share of it; doubled every ``STEADY`` seconds, up to the second value."""
REFUSALS_BY_THE_MINUTE = 3
"""Refusals in a row, seconds apart, after which the provider's limit is assumed to be one for a minute: at the next
refusal, the rate is set to that of the last minute."""
HORIZON = 60.0
"""Seconds for which accepted calls are remembered."""
LONGEST_PAUSE = 60.0
"""Most seconds that a refusal holds calls back, whatever the provider asks for."""


class Pace:
    """The rate of calls to one provider. Times are in seconds of one clock; ``now`` is the time of the start."""

    def __init__(self, now: float) -> None:
        self.rate: float | None = None
        """Calls that may start in a second; null until a call was refused after others had been accepted."""
        self._begun = now
        self._starts = deque[float]()  # of the last minute, without refused calls
        self._refusals = 0  # in a row
        self._by_the_minute = False
        self._last_cut = self._last_change = -math.inf
        self._first_cut = self._tells_from = (
            math.nan
        )  # time of the first refusal, and the time from which starts count for the rate

    def started(self, now: float) -> None:
        """A call is sent."""
        self._starts.append(now)
        while self._starts[0] < now - HORIZON:
            self._starts.popleft()

    def answered(self, started: float, now: float, closed_until: float) -> None:
        """A call that began at ``started`` was answered. Calls were held back until ``closed_until``."""
        if started > self._last_cut:
            self._refusals = 0
        steady = now - max(self._last_cut, closed_until) - STEADY
        if self.rate and steady > 0:
            growth = min(FASTEST_GROWTH, GROWTH * 2 ** (steady / STEADY))
            self.rate *= 1 + growth * min(1.0, now - max(self._last_change, self._last_cut + STEADY))
            self._last_change = now

    def refused(self, started: float, now: float, retry_after: float | None) -> float | None:
        """A call that began at ``started`` was refused. Returns the seconds to hold all calls back, or null."""
        pause = None if retry_after is None else min(retry_after, LONGEST_PAUSE)
        if started in self._starts:
            self._starts.remove(started)
        if started > self._last_cut:
            self._refusals += 1
            if retry_after is None and (self.rate is None or self._refusals > 1):  # a single one only lowers the rate
                pause = min(2.0 ** max(0, self._refusals - 2), LONGEST_PAUSE)
            if self.rate is None:
                self._first_cut, self._tells_from = now, started - LOOK_BACK
            elif self._refusals == 1:
                self.rate = REFUSED_CUT * (self._of_last_minute(now) if self._by_the_minute else self.rate)
            self._by_the_minute = self._refusals >= REFUSALS_BY_THE_MINUTE
            self._last_cut = self._last_change = now
        if self._last_cut == self._first_cut:  # later refusals of calls sent before it correct the rate
            accepted = self._most_accepted()
            self.rate = REFUSED_CUT * accepted if accepted else None
        return pause

    def _most_accepted(self) -> int:
        """Number of calls in the busiest span before the first refusal, without refused ones."""
        starts = [start for start in self._starts if self._tells_from < start <= self._first_cut]
        return max((bisect_left(starts, start + CROWDED) - i for i, start in enumerate(starts)), default=0)

    def _of_last_minute(self, now: float) -> float:
        """Accepted calls a second in the last minute."""
        return len(self._starts) / min(HORIZON, max(1.0, now - self._begun))
