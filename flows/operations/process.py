"""A server process, or the worker, that this process starts: one class for ``synthgap up`` and ``synthgap run``.

Each one runs in a session of its own, so that Ctrl-C reaches only the process that started it, which ends it last.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from flows.operations import logs
from flows.operations.environment import TOKEN
from tasks.errors import RunError

START_S = 240.0
"""Seconds that a server may take to answer; 10 to 20 on an idle machine."""
POLL_S = 0.2
"""Seconds between two checks whether a server that was started answers."""
STOP_S = 5.0
"""Seconds that a process gets to end after SIGTERM, before SIGKILL."""
RESTARTS = 5
"""A process that ended this often within ``RESTART_WINDOW_S`` is not started again."""
RESTART_WINDOW_S = 600.0
ANSWER_S = 5.0
"""Seconds that a server may take for one answer."""


class ServerProcess:
    """A Python module that runs in ``folder`` as a child process and writes to a log file.

    ``title`` names it at the beginning of messages. With ``stdin=subprocess.PIPE`` the child's standard input ends when
    this process ends, in whatever way.
    """

    def __init__(
        self,
        title: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        folder: Path,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.title, self.command, self.environment = title, list(command), dict(environment)
        self.log, self.folder, self.stdin = log, folder, stdin
        self.restarts: list[float] = []
        self.start()

    def start(self) -> None:
        """Start it with a new log; the previous log is kept beside it."""
        self.log.parent.mkdir(exist_ok=True)
        logs.put_aside(self.log)
        self._launch()

    def _launch(self) -> None:
        with self.log.open("a") as output:  # appending: what follows a rotation begins at the start of the file
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                stdin=self.stdin,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )

    def wait(self, ready: Callable[[], bool]) -> None:
        """Return when ``ready`` says so. Raises ``RunError`` when the process ends before, or takes too long."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and not self.ended:
            if ready():
                return
            time.sleep(POLL_S)
        raise RunError(f"{self.title} did not start: {self.problem()}. Its log is {str(self.log)!r}")

    @property
    def ended(self) -> bool:
        """The process is not running."""
        return self.process.poll() is not None

    def needs_restart(self) -> bool:
        """Whether it ended. Raises ``RunError`` when it has already been restarted ``RESTARTS`` times recently."""
        recent = [moment for moment in self.restarts if time.monotonic() - moment < RESTART_WINDOW_S]
        if self.ended and len(recent) >= RESTARTS:
            raise RunError(
                f"{self.title} ended {RESTARTS + 1} times within {RESTART_WINDOW_S / 60:.0f} minutes: "
                f"{self.problem()}. Its log is {str(self.log)!r}"
            )
        return self.ended

    def restart(self) -> None:
        """Start it again after it ended. Its own children, which may still hold its port, are killed first."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.restarts.append(time.monotonic())
        self._launch()

    def stop(self) -> None:
        """End it, if it still runs."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def problem(self) -> str:
        """Why it does not run: the last line of its log that reports an error, else how it ended."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        if "Can't locate revision" in text:
            return "a newer version wrote its database; install that version, or move the database away"
        if lines := [line.strip() for line in text.splitlines() if "rror" in line]:
            return lines[-1][:300].rstrip(".")
        if self.ended:
            return f"it ended with code {self.process.returncode} and without an error message"
        return f"it did not answer within {START_S:.0f} s"


def answers(address: str) -> bool:
    """Whether a GET of ``address`` succeeds."""
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_S):
            return True
    except (urllib.error.URLError, OSError):
        return False


def marked_processes(token: str) -> list[psutil.Process]:
    """All processes whose environment carries the token of an ``up``, except this one."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:  # another user's, or gone
            continue
        if environment.get(TOKEN) == token and process.pid != os.getpid():
            found.append(process)
    return found


def end_processes(processes: list[psutil.Process], seconds: float) -> None:
    """Send SIGTERM, and SIGKILL to those that still run after ``seconds``; returns when they have ended."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, seconds)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, seconds)
