"""When calls to a provider that only fails are stopped, and for how long (circuit breaker)."""

FAILURES_TO_OPEN = 10
"""Failures in a row that open the circuit."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds that the circuit stays open, doubled each time that the next call fails as well."""


class Breaker:
    """Counts failures in a row of one provider."""

    def __init__(self) -> None:
        self.failures = 0
        """Failed calls since the last answered one."""
        self.breaks = 0
        """How often the circuit opened since then."""
        self._pause = FIRST_PAUSE

    def answered(self) -> None:
        """A call was answered."""
        self.failures = self.breaks = 0
        self._pause = FIRST_PAUSE

    def failed(self, closed: bool) -> float | None:
        """A call failed; ``closed`` if calls are already held back. Returns the seconds to hold calls back, or null."""
        self.failures += 1
        if self.failures < FAILURES_TO_OPEN or closed:
            return None
        pause, self._pause = self._pause, min(LONGEST_PAUSE, self._pause * 2)
        self.breaks += 1
        return pause

    @property
    def open(self) -> bool:
        """Whether calls are held back because of many failures in a row."""
        return self.failures >= FAILURES_TO_OPEN
