"""Waits for a server that does not answer for a while, so that a study only loses time.

All threads that call a server share one ``Outage``. Its time limit starts with the first failed call after the last
answered one. So the outage is logged once, and when the limit is reached, all callers fail at once instead of one after
the other.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

R = TypeVar("R")

LOGGER = logging.getLogger("synthgap")
PATIENCE_S = 120.0
"""Seconds without an answer after which calls fail."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
"""Seconds between two attempts of one call: the first wait, doubled each time, and the longest one."""


class Outage:
    """Calls to one server, repeated while it does not answer. Thread-safe.

    ``name`` is the server's name in messages. ``away`` tells whether a call may succeed after an error.
    """

    def __init__(self, name: str, away: Callable[[BaseException], bool], patience: float = PATIENCE_S) -> None:
        self._name, self._away, self._patience = name, away, patience
        self._lock = threading.Lock()
        self._since: float | None = None

    def call(self, function: Callable[..., R], *arguments: Any, **named: Any) -> R:
        """The result of a call. Raises its error if the server does not answer in time, and any other error at once."""
        retrying = Retrying(
            retry=retry_if_exception(self._away),
            stop=self._given_up,
            wait=wait_exponential_jitter(FIRST_WAIT_S, LONGEST_WAIT_S, jitter=FIRST_WAIT_S),
            reraise=True,
        )
        result: R = retrying(function, *arguments, **named)
        self._answered()
        return result

    def _given_up(self, state: RetryCallState) -> bool:
        """Whether the time limit has passed since the outage began or, if others get answers, since this call began."""
        now = time.monotonic()
        with self._lock:
            new = self._since is None
            since = self._since = now if self._since is None else self._since
        if new and self._patience:
            LOGGER.warning("%s does not answer; waiting for it up to %.0f s", self._name, self._patience)
        return now - min(since, state.start_time) >= self._patience

    def _answered(self) -> None:
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            LOGGER.warning("%s answers again, after %.0f s", self._name, time.monotonic() - since)
