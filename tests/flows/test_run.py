"""What breaks a run from outside is one message; a defect keeps its traceback."""

import errno
from pathlib import Path

import httpx
import pytest

from flows.run import clear_faults
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
