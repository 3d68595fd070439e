"""When a process was started: told from the kernel's notes, which a step of the clock does not touch."""

import os
import subprocess
import sys

import psutil
import pytest

from tasks.processes import birth, born

STATUS = "4242 ({name}) S 1 4242 4242 0 -1 4194560 100 0 0 0 5 3 0 0 20 0 4 0 {ticks} 123456 789 18446744073709551615 1"


@pytest.mark.parametrize("name", ["python3", "a) b", "((", "so many words"])
def test_the_ticks_are_found_behind_any_name(name: str) -> None:
    assert born(STATUS.format(name=name, ticks=98765), "50f1afb0-ea28-4378-a030\n") == "50f1afb0-98765"


def test_another_start_of_the_machine_is_another_birth() -> None:
    status = STATUS.format(name="python3", ticks=1)
    assert born(status, "aaaaaaaa-1") != born(status, "bbbbbbbb-1")


def test_two_processes_have_two_births_and_one_keeps_its_own() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert birth(child.pid) == birth(child.pid) != birth(os.getpid())
    finally:
        child.communicate()
    with pytest.raises(psutil.NoSuchProcess):
        birth(child.pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others note the time itself")
def test_no_time_of_the_clock_is_in_it() -> None:
    assert str(int(psutil.Process().create_time()))[:6] not in birth(os.getpid())
