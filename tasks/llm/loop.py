"""The one event loop of this process that all LLM calls run on, in a thread of its own.

One loop for all syntheses keeps connections open across them; litellm's clients are bound to the loop they began on.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop and wait for it; an interruption of the wait cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, _get())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _get() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="llm-calls", daemon=True).start()
        return _loop
