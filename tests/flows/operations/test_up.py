"""``synthgap down`` and ``login`` without a server."""

import os
import subprocess
import sys

import psutil
import pytest

from flows.operations import state
from flows.operations.environment import TOKEN
from flows.operations.login import CHOSEN, Login, keep_login
from flows.operations.state import Service
from flows.operations.up import down, how_to_log_in
from tasks.errors import RunError
from tasks.settings import Settings
from tests.flows.operations.states import up_state


def test_down_where_nothing_runs(settings: Settings) -> None:
    assert down(settings) is False


def test_down_ends_what_a_killed_supervisor_left_running(settings: Settings) -> None:
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, TOKEN: "left-behind"}
    )
    try:
        state.write_state(up_state(token="left-behind", created=1.0), settings)
        assert down(settings) is True
        assert not psutil.pid_exists(left.pid)
        assert state.read_state(settings) is None
    finally:
        left.kill()
        left.wait()


def test_the_password_is_shown_where_it_is_asked_for_only(settings: Settings) -> None:
    login = Login("someone", "long-enough-planted")
    keep_login(settings, {CHOSEN: login.text})
    with pytest.raises(RunError, match="synthgap up"):
        how_to_log_in(settings)
    own = [Service(name="prefect", pid=1, url="http://127.0.0.1:4200"), Service(name="mlflow", pid=1, url="http://x")]
    state.write_state(up_state(services=own), settings)
    assert login.link("http://127.0.0.1:4200") in how_to_log_in(settings)
    assert login.password in how_to_log_in(settings)
