"""A run ends when the ``up`` whose servers it uses does."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.operations.state import UpState, is_running, path_of, write_state
from flows.run import wait_until_ended
from tasks.settings import Settings

UP = UpState(token="t", pid=1, created="now", prefect_api="p", tracking_uri="m", ready=True)


def test_an_up_is_ended_when_its_state_is_gone_or_not_its_own(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    write_state(UP, settings)
    assert is_running(UP, settings)
    for other in (UP.model_copy(update={"token": "other"}), UP.model_copy(update={"ready": False})):
        write_state(other, settings)
        assert not is_running(UP, settings)
    path_of(settings).unlink()
    assert not is_running(UP, settings)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", None])
def test_a_state_that_cannot_be_read_ends_no_run(tmp_path: Path, content: bytes | None) -> None:
    settings = Settings(home=tmp_path)
    if content is None:
        path_of(settings).mkdir()  # reading it fails, with another error than that it is not there
    else:
        path_of(settings).write_bytes(content)
    assert is_running(UP, settings)


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
    said = "was ended; every answer that arrived is kept, calls that were on their way are asked again; run the study"
    assert said in done.stderr
