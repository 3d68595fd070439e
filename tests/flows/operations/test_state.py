"""The state of an ``up``: read as written, also from an older version; which process uses its servers, and logs in."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.operations import state
from flows.operations.login import CHOSEN, Login, keep_login
from flows.operations.state import Service, UpState, is_running
from tasks.processes import birth
from tasks.settings import Settings
from tests.flows.operations.states import silent, up_state

LOGIN = Login("someone", "long-enough-planted")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment that names no server, and is put back."""
    for name in ("PREFECT_API_URL", "SYNTHGAP_TRACKING_URI", *LOGIN.of_prefect, *LOGIN.of_mlflow):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    yield monkeypatch


def running(settings: Settings, **change: object) -> UpState:
    """The state of an ``up`` that started both servers, in its file."""
    own = [Service(name="prefect", pid=1, url="http://127.0.0.1:9"), Service(name="mlflow", pid=1, url="http://x")]
    found = up_state(**{"services": own, **change})
    state.write_state(found, settings)
    return found


def test_a_state_is_read_as_it_was_written(settings: Settings) -> None:
    written = up_state(services=(Service(name="worker", pid=1, log="x"),), complaints=("bad.yaml",))
    state.write_state(written, settings)
    assert state.read_state(settings) == written
    assert [path.name for path in settings.home.iterdir()] == ["up.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token": "x"}'])
def test_a_broken_state_file_is_no_state(settings: Settings, content: str) -> None:
    state.path_of(settings).write_text(content)
    assert state.read_state(settings) is None


def test_a_later_process_of_the_same_number_is_another_one() -> None:
    assert up_state().alive
    assert not up_state(created=f"{birth(os.getpid())}0").alive


def test_a_state_that_an_older_version_wrote_is_understood() -> None:
    assert up_state(created=psutil.Process().create_time()).alive
    assert not up_state(created=1.0).alive


def test_an_up_is_ended_when_its_state_is_gone_or_not_its_own(settings: Settings) -> None:
    mine = running(settings)
    assert is_running(mine, settings)
    for other in (mine.model_copy(update={"token": "other"}), mine.model_copy(update={"ready": False})):
        state.write_state(other, settings)
        assert not is_running(mine, settings)
    state.path_of(settings).unlink()
    assert not is_running(mine, settings)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", None])
def test_a_state_that_cannot_be_read_ends_no_run(settings: Settings, content: bytes | None) -> None:
    if content is None:
        state.path_of(settings).mkdir()  # reading it fails, with another error than that it is not there
    else:
        state.path_of(settings).write_bytes(content)
    assert is_running(up_state(), settings)


# ---- who uses its servers --------------------------------------------------------------------------------------------


def test_a_run_uses_only_servers_that_are_supervised_and_answer(settings: Settings, clean: pytest.MonkeyPatch) -> None:
    for stale in (up_state(created=1.0), up_state(ready=False), up_state(services=(silent("prefect"),))):
        state.write_state(stale, settings)
        assert state.use_running(settings) is None
        assert "PREFECT_API_URL" not in os.environ
    clean.setenv("PREFECT_API_URL", "http://mine/api")
    clean.setenv("SYNTHGAP_TRACKING_URI", "sqlite:///mine.db")
    running(settings)
    assert state.use_running(settings) is None
    assert os.environ["PREFECT_API_URL"] == "http://mine/api"  # what the user says goes first
    assert os.environ["SYNTHGAP_TRACKING_URI"] == "sqlite:///mine.db"


def test_a_run_beside_up_uses_its_servers_and_is_logged_in(settings: Settings, clean: pytest.MonkeyPatch) -> None:
    keep_login(settings, {CHOSEN: LOGIN.text})
    mine = running(settings)
    assert state.use_running(settings) == mine
    assert os.environ["PREFECT_API_URL"] == mine.prefect_api
    assert {name: os.environ.get(name) for name in LOGIN.of_prefect} == LOGIN.of_prefect
    assert {name: os.environ.get(name) for name in LOGIN.of_mlflow} == LOGIN.of_mlflow


def test_no_other_server_is_told_the_password(settings: Settings, clean: pytest.MonkeyPatch) -> None:
    keep_login(settings, {CHOSEN: LOGIN.text})
    clean.setenv("PREFECT_API_URL", "http://elsewhere/api")
    running(settings, services=[{"name": "mlflow", "url": "http://127.0.0.1:5000"}])  # which ``up`` did not start
    state.use_running(settings)
    assert [name for name in (*LOGIN.of_prefect, *LOGIN.of_mlflow) if name in os.environ] == []


# ---- what is shown ---------------------------------------------------------------------------------------------------


def test_the_summary_and_the_file_hold_no_password(settings: Settings) -> None:
    keep_login(settings, {CHOSEN: LOGIN.text})
    found = running(settings)
    for shown in (found.summary(), Path(state.path_of(settings)).read_text()):
        assert LOGIN.password not in shown and LOGIN.basic not in shown
    assert "synthgap login" in found.summary() and "/v2/deployments" in found.summary()


def test_servers_of_somebody_else_are_shown_as_they_are() -> None:
    theirs = [Service(name="prefect", url="https://prefect.example"), Service(name="mlflow", url="https://ml.example")]
    shown = up_state(services=theirs).summary(LOGIN)
    assert "https://prefect.example   " in shown and LOGIN.password not in shown and LOGIN.basic not in shown
