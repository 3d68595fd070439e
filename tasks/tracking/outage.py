"""Waits for a server that is away for a moment, so that an outage costs a study time and nothing else.

One outage is shared by all threads that call one server: its patience is counted from the first call that failed with
none answered since. So it is logged once, and when the server is given up, everybody who still calls it fails at once
instead of waiting in turn.
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
"""Seconds without an answer until a server is given up."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
"""Between two attempts of one call, doubled each time, and the most of them."""


class Outage:
    """Calls to one server, repeated while it is away. Thread-safe.

    ``name`` is how messages call the server, ``away`` tells an error of a server that may come back from others.
    """

    def __init__(self, name: str, away: Callable[[BaseException], bool], patience: float = PATIENCE_S) -> None:
        self._name, self._away, self._patience = name, away, patience
        self._lock = threading.Lock()
        self._since: float | None = None

    def call(self, function: Callable[..., R], *arguments: Any, **named: Any) -> R:
        """The outcome of a call; raises what it raised where the server stays away or it is another error."""
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
        """By the server's silence; by the call's own age where others are answered and this one is not."""
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
