"""When a provider that only fails is left alone, and for how long (circuit breaker)."""

FAILURES_TO_OPEN = 10
"""Failures in a row that open the circuit."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds that it stays open, doubled each time that the call after it fails as well."""


class Breaker:
    """Failures in a row of one provider."""

    def __init__(self) -> None:
        self.failures = 0
        """Calls that failed since one was answered."""
        self.breaks = 0
        """Times that the circuit opened since then."""
        self._pause = FIRST_PAUSE

    def answered(self) -> None:
        """A call was answered."""
        self.failures = self.breaks = 0
        self._pause = FIRST_PAUSE

    def failed(self, closed: bool) -> float | None:
        """A call failed; ``closed`` while calls are kept back already. Returns seconds to do that, null for not."""
        self.failures += 1
        if self.failures < FAILURES_TO_OPEN or closed:
            return None
        pause, self._pause = self._pause, min(LONGEST_PAUSE, self._pause * 2)
        self.breaks += 1
        return pause

    @property
    def open(self) -> bool:
        """Whether there were so many failures in a row that calls are kept back."""
        return self.failures >= FAILURES_TO_OPEN
