"""Says what is waited for: a wait of more than ten seconds without a word looks like one without an end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import BaseFileLock, Timeout

from tasks.progress import LOGGER

FIRST, AGAIN = 10.0, 60.0
"""Seconds after which a wait is said, and said again."""


class Waits:
    """The waits for one thing, of however many calls: said once for all of them."""

    def __init__(self, first: float = FIRST, again: float = AGAIN) -> None:
        self._first, self._again = first, again
        self._said = -again

    @contextmanager
    def said(self, what: Callable[[], str]) -> Iterator[None]:
        """Log ``what`` is waited for when the block takes long; an empty answer is nothing worth saying.

        For a block that awaits: it lets the event loop run.
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
    """Hold a lock for the block, after a wait that is said as ``wait_for`` does."""
    wait_for(lock, what, first)
    try:
        yield
    finally:
        lock.release()


def wait_for(lock: BaseFileLock, what: str, first: float = FIRST, again: float = AGAIN) -> None:
    """Acquire a lock that another process may hold for long, and say so.

    The operating system drops the lock when its holder ends, however it ends, so the wait ends with the holder.
    """
    begun = time.monotonic()
    patience = first
    while True:
        try:
            lock.acquire(timeout=patience)
            return
        except Timeout:
            LOGGER.warning("waiting for %s, %.0f s so far; end that run to go on", what, time.monotonic() - begun)
            patience = again
