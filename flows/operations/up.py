"""The commands ``synthgap up``, ``down`` and ``login``: one supervisor at a time, which a signal ends.

If a supervisor was killed (kill -9), the next ``up`` or ``down`` ends its processes, which all have its token.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from filelock import FileLock, Timeout

from flows.operations import state
from flows.operations.addresses import Address, check_logins
from flows.operations.environment import python_path
from flows.operations.login import read_login
from flows.operations.process import end_processes, marked_processes
from flows.operations.supervisor import END_S, Report, Supervisor
from tasks.errors import RunError, UserError
from tasks.settings import Settings


class _EndSignal(BaseException):
    """SIGINT, SIGTERM or SIGHUP."""


def up(address: Address, studies_at_once: int, settings: Settings, report: Report) -> None:
    """Start the services, show their addresses, and supervise them until a signal.

    Returns immediately if an ``up`` of this home is already running. Raises ``UserError`` for a port that is in use and
    for an invalid password, ``RunError`` if a service does not start or ends too often.
    """
    settings.check_home()
    check_logins(os.environ)
    lock = FileLock(settings.home / "up.lock", timeout=0)  # the operating system releases it when this process ends
    try:
        lock.acquire()
    except Timeout:
        found = state.read_state(settings)
        if found is None or not found.ready:
            raise RunError(
                "another `synthgap up` is starting or ending; try again in a minute, or see `synthgap status`"
            ) from None
        report("synthgap is up already.")
        report(found.summary())
        return
    try:
        end_leftovers(settings)
        with _signals(), contextlib.suppress(_EndSignal):
            Supervisor(address, studies_at_once, settings, report).run()
    finally:
        lock.release()


def down(settings: Settings) -> bool:
    """End a running ``up``, or the processes of a killed one; false if there is neither."""
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
    """Start ``up`` in the background and wait until it is ready; returns its output. Raises its error."""
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
            env={**os.environ, "SYNTHGAP_HOME": str(settings.home.absolute()), "PYTHONPATH": python_path()},
            start_new_session=True,
        )
    while child.poll() is None:
        found = state.read_state(settings)
        if found and found.pid == child.pid and found.ready:
            break
        time.sleep(0.2)
    printed = log.read_text(encoding="utf-8").strip()
    if child.returncode:
        kind = UserError if child.returncode == 2 else RunError
        raise kind(
            printed.removeprefix("synthgap: ")
            or f"`synthgap up` ended with code {child.returncode} and without an error message; run it without --detach"
        )
    return printed


def how_to_log_in(settings: Settings) -> str:
    """The addresses of a running ``up`` with its login. Raises ``RunError`` if none is running."""
    found = state.read_state(settings)
    if found is None or not found.alive or not found.ready:
        raise RunError("synthgap is not up; start it with `synthgap up`")
    return found.summary(read_login(settings))


def end_leftovers(settings: Settings) -> None:
    """End the processes of an ``up`` that is not running any more, and remove its state."""
    found = state.read_state(settings)
    if found:
        end_processes(marked_processes(found.token), END_S)
    state.path_of(settings).unlink(missing_ok=True)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Within the block, the first SIGINT, SIGTERM or SIGHUP raises ``_EndSignal``; later ones are ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, frame: object) -> None:
        for name in numbers:
            signal.signal(name, signal.SIG_IGN)  # a second one must not interrupt the shutdown, which takes seconds
        raise _EndSignal

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
