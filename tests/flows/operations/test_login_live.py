"""Who may use the servers of ``synthgap up`` and of a run: with real servers, only those who know the password."""

import asyncio
import contextlib
import json
import socket
import stat
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from flows.operations import state
from flows.operations.login import Login, keep_login
from tasks.settings import Settings
from tests.flows.home import KEY, Up, ask, family, until
from tests.flows.test_faults_secrets import command_lines, where_found
from tests.provider import Provider, provider

pytestmark = pytest.mark.slow

WRONG = Login("synthgap", "a-password-of-another-home")
PERMISSIVE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}, "env": {"type": "object"}}},
}
"""A work pool as Prefect makes it by itself, in short."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Provider]:
    with provider(latency=0.2) as running:
        yield running


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, endpoint: Provider) -> Iterator[Up]:
    user = tmp_path_factory.mktemp("user")
    up = Up(tmp_path_factory.mktemp("up"), {"HOME": str(user)})
    up.study(endpoint, "small")
    process = up.up()
    yield up
    up.run("down")
    process.communicate(timeout=60)


def refused(address: str, body: Any = None, login: Login | None = None) -> int:
    """The status with which a server refuses a request."""
    with pytest.raises(urllib.error.HTTPError) as refusal:
        ask(address, body, login)
    return refusal.value.code


def servers(up: Up) -> tuple[str, str]:
    return f"{up.prefect_url}/api", up.mlflow_url


@pytest.mark.parametrize("login", [None, WRONG])
def test_without_the_password_servers_say_that_they_are_well_and_nothing_else(up: Up, login: Login | None) -> None:
    prefect, mlflow = servers(up)
    for health in (f"{prefect}/health", f"{mlflow}/health"):
        assert ask(health)
    for path in ("version", "admin/settings", "csrf-token?client=a", "deployments/name/study/small"):
        assert refused(f"{prefect}/{path}", login=login) == 401, path
    for path in ("version", "", "api/2.0/mlflow/experiments/search?max_results=1", "get-artifact?path=a&run_uuid=b"):
        assert refused(f"{mlflow}/{path}", login=login) == 401, path
    deployment = up.api("deployments/name/study/small")["id"]
    orders = {f"{prefect}/deployments/{deployment}/create_flow_run": {}, f"{prefect}/flow_runs/filter": {}}
    for address, body in orders.items():
        if login is None:
            assert refused(address, body) in (401, 403), address
        else:
            assert refused(address, body, login) == 401, address
    assert refused(f"{mlflow}/api/2.0/mlflow/experiments/create", {"name": "theirs"}, login) == 401
    assert up.api("flow_runs/filter", {}) == []


def test_a_stream_of_events_asks_for_the_password(up: Up) -> None:
    """An event could start a run, by an automation."""

    async def accepted(*subprotocols: str, **greeting: str) -> bool:
        address = f"ws://127.0.0.1:{up.prefect}/api/events/in"
        try:
            async with connect(address, subprotocols=[Subprotocol(name) for name in subprotocols]) as stream:
                await stream.send(json.dumps(greeting))
                return bool(json.loads(await stream.recv())["type"] == "auth_success")
        except (WebSocketException, KeyError):
            return False

    assert asyncio.run(accepted("prefect", type="auth", token=up.login.text))
    assert not asyncio.run(accepted("prefect", type="auth", token=WRONG.text))
    assert not asyncio.run(accepted("prefect", type="event"))
    assert not asyncio.run(accepted(type="event"))


def test_a_run_chooses_neither_its_command_nor_its_environment(up: Up, tmp_path: Path) -> None:
    prefect, _ = servers(up)
    deployment = up.api("deployments/name/study/small")
    pool = json.loads(ask(f"{prefect}/work_pools/synthgap", login=up.login))
    assert pool["base_job_template"]["variables"]["properties"] == {}
    for name, value in {
        "command": f"touch {tmp_path}/done",
        "env": {"A": "b"},
        "env.A": "b",
        "working_dir": "/",
    }.items():
        order = {"job_variables": {name: value}}
        assert refused(f"{prefect}/deployments/{deployment['id']}/create_flow_run", order, up.login) == 422
    assert not list(tmp_path.iterdir())


def test_a_command_for_an_older_pool_is_not_run(up: Up, tmp_path: Path) -> None:
    """A run that was made while the pool took a command runs as every other when ``up`` has renewed the pool."""
    prefect, _ = servers(up)
    deployment = up.api("deployments/name/study/small")
    ask(f"{prefect}/work_pools/synthgap", {"base_job_template": PERMISSIVE, "is_paused": True}, up.login, "PATCH")
    orders = {"command": f"touch {tmp_path}/done", "env": {"SYNTHGAP_HOME": str(tmp_path)}}
    run = up.api(f"deployments/{deployment['id']}/create_flow_run", {"job_variables": orders})
    assert run["job_variables"] == orders  # it was taken
    assert up.run("down").returncode == 0
    up.up()
    ask(f"{prefect}/work_pools/synthgap", {"is_paused": False}, up.login, "PATCH")
    ended = up.ended(run["id"])
    assert ended["state_type"] == "COMPLETED", ended["state"]
    assert not list(tmp_path.iterdir())
    assert up.results("small")["status"] == "ok"


def test_the_password_is_in_one_file_only(up: Up, endpoint: Provider) -> None:
    said = [up.run("run", str(up.study(endpoint, "told", seeds=[5])), "--json"), up.run("status"), up.run("up")]
    assert [done.returncode for done in said] == [0, 0, 0], said
    login = up.login
    secrets = (login.password, login.basic)
    assert where_found(up.path, *secrets) == [str(up.path / "login")]
    assert stat.S_IMODE((up.path / "login").stat().st_mode) == 0o600
    shown = command_lines(up.state.token) + "".join(done.stdout + done.stderr for done in said)
    assert [secret for secret in secrets if secret in shown] == []
    assert login.link(up.prefect_url) in up.run("login").stdout


def test_servers_hold_no_key(up: Up) -> None:
    environments = {name: psutil.Process(up.pid(name)).environ() for name in ("prefect", "mlflow", "worker")}
    assert {name: KEY in found.values() for name, found in environments.items()} == {
        "prefect": False,
        "mlflow": False,
        "worker": True,  # its runs ask LLMs
    }


def test_another_page_is_refused_by_mlflow_though_the_browser_knows_the_password(up: Up) -> None:
    login = up.login
    lines = [
        "POST /api/2.0/mlflow/experiments/create HTTP/1.1",
        f"Host: 127.0.0.1:{up.mlflow}",
        f"Authorization: Basic {login.basic}",
        f"Origin: http://127.0.0.1:{up.prefect}",  # any port of this machine, for MLflow itself
        "Content-Length: 17",
        "Connection: close",
        "",
        '{"name":"theirs"}',
    ]
    with socket.create_connection(("127.0.0.1", up.mlflow)) as link:
        link.sendall("\r\n".join(lines).encode())
        answer = b"".join(iter(lambda: link.recv(4096), b"")).decode()
    assert answer.startswith("HTTP/1.1 403"), answer
    found = ask(f"{servers(up)[1]}/api/2.0/mlflow/experiments/search?max_results=100", login=login)
    assert "theirs" not in found


def test_a_changed_password_holds_from_the_next_start_and_the_old_one_does_not(up: Up) -> None:
    before = up.login
    assert up.run("down").returncode == 0
    after = keep_login(Settings(home=up.path), {"PREFECT_SERVER_API_AUTH_STRING": "me:of-my-own-choice"})
    up.up()
    prefect, mlflow = servers(up)
    for address in (f"{prefect}/version", f"{mlflow}/version"):
        assert refused(address, login=before) == 401
        assert ask(address, login=after)


def test_the_users_own_prefect_home_stays_as_it_is(up: Up) -> None:
    """After all that ran here."""
    assert not (Path(up.extra["HOME"]) / ".prefect").exists()


def test_the_server_of_a_run_answers_that_run_only(tmp_path: Path, endpoint: Provider) -> None:
    home = Up(tmp_path / "home", {"HOME": str(tmp_path / "user")})
    process = home.start("run", str(home.study(endpoint, "alone", rows_per_label=20)))
    until(lambda: endpoint.stats()["answered"] and _listening(process.pid), "the run asks")
    [port] = _listening(process.pid)
    api = f"http://127.0.0.1:{port}/api"
    assert ask(f"{api}/health")
    assert refused(f"{api}/flow_runs/filter", {}) in (401, 403)
    assert refused(f"{api}/version", login=WRONG) == 401
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert (home.path / "prefect" / "prefect.db").exists()
    assert not (tmp_path / "user" / ".prefect").exists()


def _listening(pid: int) -> list[int]:
    """Ports of the Prefect server below a process."""
    ports = []
    for process in family(pid):
        with contextlib.suppress(psutil.Error):
            if "flows.operations.ephemeral_server" in " ".join(process.cmdline()):
                links = process.net_connections("inet")
                ports += [link.laddr.port for link in links if link.status == psutil.CONN_LISTEN]
    return ports


def test_a_proxy_is_not_asked_for_servers_of_this_machine(tmp_path: Path, endpoint: Provider) -> None:
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    home = Up(tmp_path / "home", {**proxies, "NO_PROXY": "", "no_proxy": ""})
    done = home.run("run", str(home.study(endpoint, "proxied")), "--json")
    assert done.returncode == 0, done.stderr
    process = home.up()
    assert home.run("down").returncode == 0
    process.communicate(timeout=60)
    assert state.read_state(Settings(home=home.path)) is None
