"""Server processes: why one does not start, what a restart does, how often, and how marked processes are ended."""

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from flows.operations.environment import TOKEN
from flows.operations.process import RESTARTS, ServerProcess, answers, end_processes, marked_processes
from tasks.errors import RunError

WEB = """
import subprocess, sys
child = 'import http.server as s, sys; s.test(s.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")'
subprocess.run([sys.executable, '-c', child, sys.argv[1]])
"""
"""A server whose child listens."""


def started(folder: Path, program: str, *arguments: str, **options: int) -> ServerProcess:
    """A process of the title ``The server`` that runs a program."""
    (folder / "program.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return ServerProcess("The server", ["program", *arguments], environment, folder / "server.log", folder, **options)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit('an error: no such thing')", "no such thing"),
        ("print(\"Can't locate revision identified by 'abc'\"); raise SystemExit(1)", "newer version"),
        ("raise SystemExit(3)", "it ended with code 3 and without an error message"),
    ],
)
def test_a_process_that_does_not_start_says_why(tmp_path: Path, program: str, reason: str) -> None:
    process = started(tmp_path, program)
    with pytest.raises(RunError, match=f"The server did not start: .*{reason}") as failure:
        process.wait(lambda: False)
    assert "server.log" in str(failure.value)


def test_a_process_is_waited_for_until_it_is_ready_and_stopped(tmp_path: Path) -> None:
    process = started(tmp_path, "import time; print('ready', flush=True); time.sleep(60)")
    process.wait(lambda: "ready" in process.log.read_text())
    assert not process.ended and not process.needs_restart()
    process.stop()
    assert process.ended
    process.stop()  # again is no error


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = started(tmp_path, program)
    process.wait(lambda: "deaf" in process.log.read_text())
    process.stop()
    assert process.process.returncode == -signal.SIGKILL


def test_a_server_is_restarted_while_a_child_still_has_its_port(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    server = started(tmp_path, WEB, str(port))
    try:
        server.wait(partial(answers, address))
        log = server.log.read_text()
        server.process.kill()
        server.process.wait()
        assert server.needs_restart() and answers(address)  # its child lives on
        server.restart()
        server.wait(partial(answers, address))
        assert server.log.read_text().startswith(log)
    finally:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


def test_a_process_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    process = started(tmp_path, "raise SystemExit('error: broken')")
    for _ in range(RESTARTS):
        process.process.wait()
        assert process.needs_restart()
        process.restart()
    process.process.wait()
    with pytest.raises(RunError, match="ended 6 times within 10 minutes: error: broken"):
        process.needs_restart()


def test_a_new_start_keeps_the_log_before_it(tmp_path: Path) -> None:
    process = started(tmp_path, "print('hello')")
    process.process.wait()
    process.start()
    process.process.wait()
    assert process.log.read_text() == process.log.with_name("server.log.1").read_text() == "hello\n"


def test_a_child_with_our_pipe_sees_that_this_process_is_gone(tmp_path: Path) -> None:
    process = started(tmp_path, "import sys; sys.stdin.read()", stdin=subprocess.PIPE)
    assert process.process.stdin
    process.process.stdin.close()  # as the operating system does at our end
    assert process.process.wait(60) == 0


def test_marked_processes_are_found_and_no_others_are_ended() -> None:
    def sleeper(token: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, TOKEN: token})

    ours, also, foreign = sleeper("a"), sleeper("a"), sleeper("b")
    try:
        assert {process.pid for process in marked_processes("a")} == {ours.pid, also.pid}
        end_processes(marked_processes("a"), 15)
        assert not psutil.pid_exists(ours.pid) and not psutil.pid_exists(also.pid)
        assert foreign.poll() is None
    finally:
        for process in (ours, also, foreign):
            process.kill()
            process.wait()
