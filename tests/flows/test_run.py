"""A run ends when the ``up`` whose servers it uses does."""

import subprocess
import sys
from pathlib import Path

from flows.run import wait_until_ended


def test_a_run_ends_after_two_looks_in_a_row_that_find_nothing() -> None:
    looks = iter([True, False, True, True, False, False, True])
    wait_until_ended(lambda: next(looks), pause=0)
    assert list(looks) == [True]


END = """
import sys
from pathlib import Path
from flows.run import _end_with
from flows.operations.state import UpState
from tasks.settings import Settings

_end_with(UpState(token="t", pid=1, created="now", prefect_api="p", tracking_uri="m"), Settings(home=Path(sys.argv[1])))
"""


def test_a_run_whose_up_is_ended_says_what_is_kept_and_what_is_asked_again(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", END, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    said = "was ended; all answers that arrived are kept, calls in flight are made again; run the study"
    assert said in done.stderr
