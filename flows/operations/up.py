"""``synthgap up`` and ``synthgap down``: one watcher at a time, ended by a signal, with nothing left behind.

What a watcher could not end itself (kill -9) the next ``up`` or ``down`` ends, by the token that all processes carry.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from filelock import FileLock, Timeout

from flows.operations import services, state
from flows.operations.login import read_login
from flows.operations.services import Address
from flows.operations.state import UpState
from flows.operations.supervisor import END_S, Say, Watcher
from tasks.errors import RunError, UserError
from tasks.settings import Settings


class _Stop(BaseException):
    """SIGINT, SIGTERM or SIGHUP."""


def up(address: Address, studies_at_once: int, settings: Settings, say: Say) -> None:
    """Start what is not running, print where it is, watch until told to stop.

    Returns at once where an ``up`` runs already. Raises ``UserError`` for a port in use and a password that cannot be
    one, ``RunError`` where a server does not start or ends.
    """
    settings.check_home()
    services.check_logins(os.environ)
    with _watching_alone(settings) as alone:
        if not alone:
            say("synthgap is up already.")
            say(_running(settings).summary())
            return
        end_leftovers(settings)
        with _signals(), contextlib.suppress(_Stop):
            Watcher(address, studies_at_once, settings, say).live()


def down(settings: Settings) -> bool:
    """End a running ``up``, or what one left behind; false where there is nothing."""
    found = state.read_state(settings)
    if found is None:
        return False
    if found.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGTERM)
            end = time.monotonic() + 4 * END_S
            while found.alive and time.monotonic() < end:
                time.sleep(0.1)
            if found.alive:
                os.kill(found.pid, signal.SIGKILL)
    end_leftovers(settings)
    return True


def detach(arguments: list[str], settings: Settings) -> str:
    """Start ``up`` in the background and wait until it is ready; what it printed. Raises what it raised."""
    settings.check_home()
    log = settings.home / "logs" / "up.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=settings.home,
            env={**os.environ, "SYNTHGAP_HOME": str(settings.home.absolute()), "PYTHONPATH": services.python_path()},
            start_new_session=True,
        )
    while child.poll() is None:
        found = state.read_state(settings)
        if found and found.pid == child.pid and found.ready:
            break
        time.sleep(0.2)
    said = log.read_text(encoding="utf-8").strip()
    if child.returncode:
        kind = UserError if child.returncode == 2 else RunError
        raise kind(said.removeprefix("synthgap: ") or f"`synthgap up` ended with code {child.returncode}")
    return said


def how_to_log_in(settings: Settings) -> str:
    """Addresses of a running ``up`` with what lets a browser in. Raises ``RunError`` where none runs."""
    found = state.read_state(settings)
    if found is None or not found.alive or not found.ready:
        raise RunError("synthgap is not up; `synthgap up` starts it")
    return found.summary(read_login(settings))


def end_leftovers(settings: Settings) -> None:
    """End whatever an ``up`` that is gone left running, and forget it."""
    found = state.read_state(settings)
    if found:
        state.end(state.processes(found.token), END_S)
    state.path_of(settings).unlink(missing_ok=True)


def _running(settings: Settings) -> UpState:
    found = state.read_state(settings)
    if found is None or not found.ready:
        raise RunError("another `synthgap up` is starting or ending; try again in a minute, see `synthgap status`")
    return found


@contextlib.contextmanager
def _watching_alone(settings: Settings) -> Iterator[bool]:
    lock = FileLock(settings.home / "up.lock", timeout=0)  # the system drops it with its process
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, frame: object) -> None:
        for name in numbers:
            signal.signal(name, signal.SIG_IGN)  # once is enough: ending takes seconds
        raise _Stop

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
