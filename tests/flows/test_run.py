"""What breaks a run from outside is one message; a defect keeps its traceback."""

import errno
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flows.run import clear_faults, wait_until_ended
from tasks.errors import RunError, UserError
from tasks.settings import Settings

HOME = Settings(home=Path("/somewhere/home"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_disk_that_refuses_names_the_path(number: int) -> None:
    with pytest.raises(RunError, match=r"'/a/file'.*free some space, then run again"), clear_faults(HOME):
        raise OSError(number, "refused", "/a/file")


def test_a_write_that_does_not_say_where_names_the_home_folder() -> None:
    with pytest.raises(RunError, match="'/somewhere/home': No space left"), clear_faults(HOME):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_prefect_server_that_is_gone_is_one_message() -> None:
    with pytest.raises(RunError, match=r"Prefect at .*connection attempts failed"), clear_faults(HOME):
        raise httpx.ConnectError("All connection attempts failed")


@pytest.mark.parametrize(
    "error", [UserError("yours"), RunError("ours"), FileNotFoundError(2, "no", "x"), KeyError("x")]
)
def test_anything_else_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, clear_faults(HOME):
        raise error
    assert caught.value is error


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
