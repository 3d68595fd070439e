"""Locks of one home folder: a study runs once at a time there, and nothing is pruned while any study runs.

The operating system releases a lock when its holder ends, in whatever way.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from tasks.errors import RunError
from tasks.settings import Settings
from tasks.waiting import wait_for

LOOK_S = 1.0
"""Seconds to try to get the lock of a study: pruning holds it for a moment to see whether the study runs."""


@contextmanager
def only_run_of(name: str, settings: Settings, wait: bool = False) -> Iterator[None]:
    """Hold the study's lock. If another process runs the study, wait for it or raise ``RunError``.

    If a pruning is running, wait for its end, because it does not know what this run will use.
    """
    folder = settings.home / "locks"
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        if wait:
            wait_for(lock, f"study {name!r}, which is running in another process")
        else:
            lock.acquire(timeout=LOOK_S)
    except Timeout:
        raise RunError(f"study {name!r} is running already in another process; wait for it, then run again") from None
    try:
        pruning = _pruning(settings)
        wait_for(pruning, "`synthgap store prune`")
        pruning.release()
        yield
    finally:
        lock.release()


@contextmanager
def no_study_running(settings: Settings) -> Iterator[None]:
    """Keep studies from starting. Raises ``RunError`` if one is running."""
    pruning = _pruning(settings)
    wait_for(pruning, "another `synthgap store prune`")
    try:
        for path in sorted((settings.home / "locks").glob("*.lock")):
            try:
                with FileLock(path, timeout=0):
                    pass
            except Timeout:
                raise RunError(f"study {path.stem!r} is running; wait until it has ended, then prune") from None
        yield
    finally:
        pruning.release()


def _pruning(settings: Settings) -> FileLock:
    return FileLock(settings.home / "pruning.lock")
