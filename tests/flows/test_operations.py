"""What ``synthgap up`` knows and refuses, without starting anything: state, ports, addresses, dead runs."""

import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from flows.operations import services, state
from flows.operations.environment import TOKEN
from flows.operations.prefect_admin import SILENCE_S, zombie_automation
from flows.operations.services import Address, Process, check_logins, check_port
from flows.operations.state import Service, UpState
from flows.operations.status import shown, status_of
from flows.operations.up import down, end_leftovers
from tasks.errors import RunError, UserError
from tasks.processes import birth
from tasks.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def up_state(**change: object) -> UpState:
    fields = {
        "token": "t",
        "pid": os.getpid(),
        "created": birth(os.getpid()),
        "prefect_api": "http://127.0.0.1:9/api",
        "tracking_uri": "http://127.0.0.1:9",
        "ready": True,
    }
    return UpState.model_validate({**fields, **change})


def sleeper(token: str) -> subprocess.Popen[bytes]:
    """A process that carries a token."""
    environment = {**os.environ, TOKEN: token}
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)


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


def test_processes_are_found_by_their_mark_and_no_others_are_ended(settings: Settings) -> None:
    ours, also, foreign = sleeper("a"), sleeper("a"), sleeper("b")
    try:
        assert {process.pid for process in state.processes("a")} == {ours.pid, also.pid}
        state.write_state(up_state(token="a", created=1.0), settings)
        end_leftovers(settings)
        assert not psutil.pid_exists(ours.pid) and not psutil.pid_exists(also.pid)
        assert foreign.poll() is None
        assert state.read_state(settings) is None
    finally:
        for process in (ours, also, foreign):
            process.kill()
            process.wait()


def test_down_where_nothing_runs(settings: Settings) -> None:
    assert down(settings) is False


def test_a_run_uses_only_servers_that_are_watched_and_answer(settings: Settings, monkeypatch) -> None:
    for name in ("PREFECT_API_URL", "SYNTHGAP_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for stale in (up_state(created=1.0), up_state(ready=False), up_state(services=(silent("prefect"),))):
        state.write_state(stale, settings)
        state.use_running(settings)
        assert "PREFECT_API_URL" not in os.environ
    monkeypatch.setenv("PREFECT_API_URL", "http://mine/api")
    monkeypatch.setenv("SYNTHGAP_TRACKING_URI", "sqlite:///mine.db")
    state.write_state(up_state(), settings)
    state.use_running(settings)
    assert os.environ["PREFECT_API_URL"] == "http://mine/api"  # what the user says goes first
    assert os.environ["SYNTHGAP_TRACKING_URI"] == "sqlite:///mine.db"


def silent(name: str) -> Service:
    return Service(name=name, pid=1, url="http://127.0.0.1:9", health="http://127.0.0.1:9/health")


def test_a_port_in_use_is_one_message_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} .*--prefect-port"):
            check_port("127.0.0.1", port, "--prefect-port")
    check_port("127.0.0.1", port, "--prefect-port")


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]"), ("box", "box")],
)
def test_an_address_is_one_that_this_machine_can_open(host: str, local: str) -> None:
    assert Address(host).local == local


@pytest.mark.parametrize(("host", "beyond"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("box", True)])
def test_others_reach_what_listens_beyond_loopback(host: str, beyond: bool) -> None:
    assert Address(host).beyond_this_machine is beyond


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit('an error: no such thing')", "no such thing"),
        ("print(\"Can't locate revision identified by 'abc'\"); raise SystemExit(1)", "newer version"),
    ],
)
def test_a_service_that_does_not_start_says_why(settings: Settings, program: str, said: str) -> None:
    (settings.home / "broken.py").write_text(program)
    process = services.Process("broken", ["broken"], {**os.environ, "PYTHONPATH": str(settings.home)}, settings)
    with pytest.raises(RunError, match=said) as failure:
        process.wait("http://127.0.0.1:9")
    assert "broken.log" in str(failure.value)


@pytest.mark.slow
def test_an_older_database_of_mlflow_is_upgraded_and_a_copy_kept(settings: Settings) -> None:
    import sqlite3

    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    Base.metadata.create_all(create_sqlalchemy_engine(settings.mlflow_uri))
    config = _get_alembic_config(settings.mlflow_uri)
    newest, older, *_ = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()]
    command.upgrade(config, older)
    (settings.home / "mute.py").write_text("print('Detected out-of-date database schema (found version a)')")
    failed = services.Process("mute", ["mute"], {**os.environ, "PYTHONPATH": str(settings.home)}, settings)
    failed.process.wait()

    assert services.upgrade_mlflow(failed, settings) is True

    def version(name: str) -> str:
        return sqlite3.connect(settings.home / name).execute("select version_num from alembic_version").fetchone()[0]

    assert (version("mlflow.db"), version("mlflow.db.before-upgrade")) == (newest, older)


def test_another_failure_of_mlflow_upgrades_nothing(settings: Settings) -> None:
    (settings.home / "mute.py").write_text("raise SystemExit('error: no space left')")
    failed = services.Process("mute", ["mute"], {**os.environ, "PYTHONPATH": str(settings.home)}, settings)
    failed.process.wait()
    assert services.upgrade_mlflow(failed, settings) is False


def test_services_have_our_environment_and_their_mark(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    monkeypatch.setenv("NO_PROXY", "intranet")
    environment = services.environment_of("t", settings)
    assert environment["PREFECT_HOME"] == str(settings.home / "prefect")
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet,127.0.0.1,localhost,::1"
    assert environment["OPENAI_API_KEY"] == "sk-planted"
    assert environment["SYNTHGAP_HOME"] == str(settings.home)
    assert environment[TOKEN] == "t"


def test_a_worker_is_called_the_same_at_every_start_and_otherwise_elsewhere(tmp_path: Path) -> None:
    here, there = Settings(home=tmp_path / "a"), Settings(home=tmp_path / "b")
    assert services.worker_name(here) == services.worker_name(here) != services.worker_name(there)


def test_the_status_of_nothing_says_how_to_start(settings: Settings) -> None:
    found = status_of(settings)
    assert found["healthy"] is False and found["up"] is None and "quickstart" in found["studies"]
    assert "synthgap up" in shown(found)


def test_the_status_shows_a_service_that_does_not_answer_and_a_study_that_cannot_be_used(settings: Settings) -> None:
    state.write_state(up_state(services=(silent("prefect"),)), settings)
    (settings.home / "studies").mkdir()
    (settings.home / "studies" / "bad.yaml").write_text("name: bad\n")
    found = status_of(settings)
    assert found["healthy"] is False
    lines = shown(found).splitlines()
    assert any("prefect" in line and "DOES NOT ANSWER" in line for line in lines)
    assert any("bad.yaml" in line and "tasks" in line for line in lines)


def test_a_run_is_found_dead_after_three_heartbeats_and_not_while_it_waits() -> None:
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

    automation = zombie_automation()
    assert automation.trigger.within == timedelta(seconds=SILENCE_S)
    assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() * 3 <= SILENCE_S
    assert "prefect.flow-run.AwaitingRetry" in automation.trigger.expect


@pytest.mark.parametrize(
    ("name", "instead"),
    [("SYNTHGAP_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD"), ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")],
)
def test_a_login_in_an_address_is_refused_and_not_repeated(name: str, instead: str) -> None:
    with pytest.raises(UserError, match=instead) as caught:
        check_logins({name: "https://someone:hunter2@host/api"})
    assert "hunter2" not in str(caught.value)
    check_logins({name: "https://host/api", "SYNTHGAP_STORE": "s3://a@b"})
    check_logins({"SYNTHGAP_TRACKING_URI": "postgresql://me:pw@db/mlflow"})  # a database has no other way


def test_a_service_is_started_again_where_a_child_still_has_its_port(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys\n"
        "child = 'import http.server as s, sys; "
        's.test(s.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")\'\n'
        "subprocess.run([sys.executable, '-c', child, sys.argv[1]])\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Process("web", ["parent", str(port)], {**os.environ, "PYTHONPATH": str(tmp_path)}, settings)
    try:
        service.wait(f"http://127.0.0.1:{port}/")
        log = service.log.read_text()
        service.process.kill()
        service.process.wait()
        assert service.ended and state.answers(f"http://127.0.0.1:{port}/")  # its child lives on
        service.start_again()
        service.wait(f"http://127.0.0.1:{port}/")
        assert service.log.read_text().startswith(log)
    finally:
        os.killpg(service.process.pid, signal.SIGKILL)
        service.process.wait()
