"""Logs stay below a size while a process goes on writing to them."""

import subprocess
import sys
from pathlib import Path

from flows.operations.logs import put_aside, rotate

WRITER = """
import sys
for line in sys.stdin:
    print(line, end="", flush=True)
    print("written", file=sys.stderr, flush=True)
"""


def test_a_log_is_emptied_under_a_process_that_goes_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    with path.open("a") as log:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.PIPE, text=True
        )
    assert writer.stdin and writer.stderr

    def write(text: str) -> None:
        assert writer.stdin and writer.stderr
        writer.stdin.write(f"{text}\n")
        writer.stdin.flush()
        writer.stderr.readline()

    write("first " * 100)
    assert not rotate(path, largest=1000)
    assert rotate(path, largest=100)
    write("second")
    assert path.read_text() == "second\n"
    assert path.with_name("worker.log.1").read_text().startswith("first")
    writer.stdin.close()
    assert writer.wait(10) == 0


def test_the_log_of_the_last_start_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "prefect.log"
    for number in range(3):
        put_aside(path)
        path.write_text(f"start {number}\n")
    assert path.read_text() == "start 2\n"
    assert path.with_name("prefect.log.1").read_text() == "start 1\n"
    assert sorted(item.name for item in path.parent.iterdir()) == ["prefect.log", "prefect.log.1"]


def test_a_log_that_is_not_there_needs_nothing(tmp_path: Path) -> None:
    assert not rotate(tmp_path / "none.log")
