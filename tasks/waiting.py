"""Logs what a process waits for: a long wait without a message looks like a hang."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import BaseFileLock, Timeout

from tasks.progress import LOGGER

FIRST, AGAIN = 10.0, 60.0
"""Seconds after which a wait is logged, and logged again."""


class Waits:
    """The waits of many calls for one thing, logged once for all of them."""

    def __init__(self, first: float = FIRST, again: float = AGAIN) -> None:
        self._first, self._again = first, again
        self._said = -again

    @contextmanager
    def said(self, what: Callable[[], str]) -> Iterator[None]:
        """Log ``what`` is waited for if the block takes long; nothing is logged while ``what`` returns an empty text.

        The block must await, so that the event loop runs.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def say() -> None:
            now = loop.time()
            if now - self._said >= self._again and (thing := what()):
                self._said = now
                LOGGER.warning("waiting for %s, %.0f s so far", thing, now - begun)
            timers.append(loop.call_later(self._again, say))

        timers = [loop.call_later(self._first, say)]
        try:
            yield
        finally:
            timers[-1].cancel()


@contextmanager
def held(lock: BaseFileLock, what: str, first: float = FIRST) -> Iterator[None]:
    """Hold a lock for the block; a long wait for it is logged as in ``wait_for``."""
    wait_for(lock, what, first)
    try:
        yield
    finally:
        lock.release()


def wait_for(lock: BaseFileLock, what: str, first: float = FIRST, again: float = AGAIN) -> None:
    """Acquire a lock that another process may hold for long, and log the wait.

    The operating system releases the lock when its holder ends, in whatever way, so the wait ends, too.
    """
    begun = time.monotonic()
    patience = first
    while True:
        try:
            lock.acquire(timeout=patience)
            return
        except Timeout:
            LOGGER.warning("waiting for %s, %.0f s so far; end that run to continue", what, time.monotonic() - begun)
            patience = again
