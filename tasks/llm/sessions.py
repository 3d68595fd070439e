"""Which processes that share a ledger are alive: each has its own lock file and holds the lock until it ends.

A process id is not enough, because a later process may get the same one.
"""

import atexit
import os
import threading
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

LOCKED = 60.0
"""Seconds to wait for a lock that is held for milliseconds."""

_sessions: dict[tuple[Path, int], tuple[str, FileLock]] = {}
_naming = threading.Lock()


def session_of(folder: Path) -> str:
    """The name of this process in the ledgers of a folder. From then on the process holds the lock of that name."""
    key = folder, os.getpid()  # a forked process is another one
    with _naming:
        if key not in _sessions:
            name = uuid.uuid4().hex[:16]
            lock = FileLock(_lock_path(folder, name), thread_local=False)
            lock.acquire(timeout=LOCKED)
            _sessions[key] = name, lock
            atexit.register(lock.release)
        return _sessions[key][0]


def is_alive(folder: Path, session: str) -> bool:
    """Whether the process of a session is alive: the operating system releases its lock when it ends."""
    if session == session_of(folder):
        return True
    path = _lock_path(folder, session)
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    path.unlink(missing_ok=True)
    return False


def is_running(pid: int) -> bool:
    """Whether a process with that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lock_path(folder: Path, session: str) -> Path:
    place = folder / "sessions"
    place.mkdir(exist_ok=True)
    return place / f"{session}.lock"
