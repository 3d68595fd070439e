"""Real worker processes; a start costs an interpreter, so one serves all tests that do not kill it."""

import operator
import os
import signal
import subprocess
import sys
import time

import pytest

from tasks.errors import RunError, UserError
from tasks.training import worker
from tasks.training.encoders import find_encoder

PARENT = """
import sys, time
from tasks.training import worker
if __name__ == "__main__":
    print(worker.call(__import__("os").getpid), flush=True)
    worker.call(exec, "import time; print('noise', flush=True); time.sleep(60)")
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def test_calls_run_in_one_process_that_is_kept():
    pid = worker.call(os.getpid)
    assert pid != os.getpid()
    assert worker.call(os.getpid) == pid
    assert worker.call(operator.add, 2, 3) == 5


def test_errors_for_people_come_back_as_they_are():
    with pytest.raises(UserError, match="unknown classifier 'embedded/x'"):
        worker.call(find_encoder, "embedded/x")


def test_other_errors_become_one_line_and_the_worker_lives_on():
    pid = worker.call(os.getpid)
    with pytest.raises(RunError, match=r"^ZeroDivisionError: division by zero$"):
        worker.call(operator.truediv, 1, 0)
    assert worker.call(os.getpid) == pid


def test_a_killed_worker_fails_its_call_only():
    pid = worker.call(os.getpid)
    with pytest.raises(RunError, match=r"killed \(signal 9\), probably for want of memory"):
        worker.call(signal.raise_signal, signal.SIGKILL)
    assert worker.call(os.getpid) != pid


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "interrupt"])
def test_workers_end_with_their_parent_and_leave_its_stdout_alone(tmp_path, how):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},  # noqa: PTH109
    )
    child = int(parent.stdout.readline())
    assert parent.stderr.readline() == "noise\n"
    if how == signal.SIGINT:
        os.killpg(parent.pid, how)  # as a terminal does
    else:
        parent.kill()
    rest, _ = parent.communicate(timeout=60)
    assert rest == ""
    assert wait_until(lambda: not alive(child))
