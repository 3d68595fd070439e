"""The number of calls in flight: it grows while calls are answered and is halved when one fails.

Additive increase, multiplicative decrease (Chiu and Jain 1989). At first, and up to half of the size at the last
failure, it is doubled with every round.
"""

import math

FIRST_SIZE = 16
"""Calls in flight at the start; doubled with every round of answers until one fails or is refused."""
SPREAD = 0.4
"""While the window is doubled, the calls of a round start over this share of an answer's time, so that a first refusal
arrives before all of them are sent."""


class Window:
    """The number of calls that may be in flight, at most ``most``. Times are in seconds of one clock."""

    def __init__(self, most: int) -> None:
        self.size = float(min(most, FIRST_SIZE))
        """Calls that may be in flight."""
        self._most = most
        self._doubled_up_to = float(most)  # above this, the window grows by one in each round
        self._latency = 0.0  # of the last answer
        self._halved = -math.inf

    def answered(self, started: float, now: float) -> None:
        """A call that began at ``started`` was answered."""
        self._latency = now - started
        self.size = min(self._most, self.size + (1 if self.size < self._doubled_up_to else 1 / self.size))

    def failed(self, started: float, now: float) -> None:
        """A call failed. Calls that were in flight at the last failure are ignored."""
        if started > self._halved:
            self._halved = now
            self._doubled_up_to = self.size = max(1.0, self.size / 2)

    def one_call(self) -> None:
        """Start again with a single call."""
        self.size = 1.0

    @property
    def gap(self) -> float:
        """Seconds between two starts while the window is being doubled, else 0."""
        growing = FIRST_SIZE < self.size < min(self._most, self._doubled_up_to)
        return SPREAD * self._latency / self.size if growing else 0.0
