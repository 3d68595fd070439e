"""Child processes for servers and the worker, for ``synthgap up`` and ``synthgap run``.

Each runs in its own session, so that Ctrl-C reaches only the process that started it, which ends its children after its
own work.
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
"""Seconds that a server may take to start; 10 to 20 on an idle machine."""
POLL_S = 0.2
"""Seconds between two checks whether a server that was started answers."""
STOP_S = 5.0
"""Seconds from SIGTERM to SIGKILL."""
RESTARTS = 5
"""Most restarts of a process within ``RESTART_WINDOW_S`` seconds."""
RESTART_WINDOW_S = 600.0
ANSWER_S = 5.0
"""Seconds that a server may take for one answer."""


class ServerProcess:
    """A Python module that runs in ``folder`` as a child process and writes to a log file.

    Messages begin with ``title``. With ``stdin=subprocess.PIPE`` the child's standard input is closed when this process
    ends, even if it is killed.
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
        """Start it with a new log; the previous log is renamed."""
        self.log.parent.mkdir(exist_ok=True)
        logs.put_aside(self.log)
        self._launch()

    def _launch(self) -> None:
        with self.log.open("a") as output:  # append, so that after a rotation it writes at the start of the file
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
        """Wait until ``ready`` returns true. Raises ``RunError`` if the process ends before that, or takes too long."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and not self.ended:
            if ready():
                return
            time.sleep(POLL_S)
        raise RunError(f"{self.title} did not start: {self.problem()}. Its log is {str(self.log)!r}")

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def needs_restart(self) -> bool:
        """Whether it ended. Raises ``RunError`` if it ended and was already restarted ``RESTARTS`` times recently."""
        recent = [moment for moment in self.restarts if time.monotonic() - moment < RESTART_WINDOW_S]
        if self.ended and len(recent) >= RESTARTS:
            raise RunError(
                f"{self.title} ended {RESTARTS + 1} times within {RESTART_WINDOW_S / 60:.0f} minutes: "
                f"{self.problem()}. Its log is {str(self.log)!r}"
            )
        return self.ended

    def restart(self) -> None:
        """Start it again after it ended. Its child processes, which may still use its port, are killed first."""
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
        """Why it does not run: the last line of its log that reports an error or, without one, how it ended."""
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
    """All processes whose environment has the token of an ``up``, except this one."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:  # a process of another user, or one that has ended
            continue
        if environment.get(TOKEN) == token and process.pid != os.getpid():
            found.append(process)
    return found


def end_processes(processes: list[psutil.Process], seconds: float) -> None:
    """Send SIGTERM, then SIGKILL to those that still run after ``seconds``; waits until they have ended."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, seconds)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, seconds)
