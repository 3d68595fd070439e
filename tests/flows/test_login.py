"""The password of the servers: where it is kept, who is given it, and what of the environment servers see."""

import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows.operations import state
from flows.operations.environment import PREFECT_NEEDS, TOKEN, past_proxies, without_secrets
from flows.operations.login import CHOSEN, PAGE, Login, keep_login, path_of, read_login
from flows.operations.mlflow_login import of_another_page
from flows.operations.services import prepare_pages
from flows.operations.state import Service, UpState
from flows.operations.up import how_to_log_in
from tasks.errors import RunError, UserError
from tasks.processes import birth
from tasks.settings import Settings

LOGIN = Login("someone", "long-enough-planted")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_gets_a_password_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    homes = [Settings(home=tmp_path / name) for name in "ab"]
    for home in homes:
        home.home.mkdir()
    first, second = (keep_login(home, {}) for home in homes)
    assert first.password != second.password and len(first.password) >= 40
    assert keep_login(homes[0], {}) == first == read_login(homes[0])
    assert mode(path_of(homes[0])) == 0o600
    assert [path.name for path in homes[0].home.iterdir()] == ["login"]


def test_its_file_is_the_owners_alone_whatever_it_was_before(settings: Settings) -> None:
    before = os.umask(0)
    try:
        path_of(settings).write_text(f"{LOGIN.text}\n")
        assert mode(path_of(settings)) == 0o666
        assert keep_login(settings, {}) == LOGIN
    finally:
        os.umask(before)
    assert mode(path_of(settings)) == 0o600


def test_a_password_that_the_user_chose_is_taken_and_kept(settings: Settings) -> None:
    keep_login(settings, {})
    assert keep_login(settings, {CHOSEN: LOGIN.text}) == LOGIN == keep_login(settings, {})


@pytest.mark.parametrize(
    "wrong", ["someone", "someone:short", "some one:long-enough-1", ":long-enough-1", "a:ümlaut-umlaut"]
)
def test_what_a_server_would_not_take_is_refused_and_not_repeated(settings: Settings, wrong: str) -> None:
    with pytest.raises(UserError, match=f"{CHOSEN} must be user:password") as refusal:
        keep_login(settings, {CHOSEN: wrong})
    assert wrong not in str(refusal.value)
    path_of(settings).write_text(wrong)
    with pytest.raises(UserError, match="login must be user:password"):
        keep_login(settings, {})


def test_where_there_is_no_password_nobody_is_logged_in(settings: Settings) -> None:
    assert read_login(settings) is None


def test_a_password_may_hold_a_colon_and_stands_behind_the_hash_of_the_link(settings: Settings) -> None:
    login = keep_login(settings, {CHOSEN: "me:with:colons:1234"})
    assert (login.user, login.password) == ("me", "with:colons:1234")
    address, _, fragment = login.link("http://127.0.0.1:4200").partition("#")
    assert "bWU" in fragment and "bWU" not in address
    assert login.password not in repr(login)
    assert login.signing_key != LOGIN.signing_key and login.password not in login.signing_key


# ---- who is given it -----------------------------------------------------------------------------------------------


def running(settings: Settings, **change: object) -> UpState:
    """A running ``up``, whose servers nobody asks."""
    fields = {
        "token": "t",
        "pid": os.getpid(),
        "created": birth(os.getpid()),
        "prefect_api": "http://127.0.0.1:4200/api",
        "tracking_uri": "http://127.0.0.1:5000",
        "services": [
            {"name": "prefect", "pid": 1, "url": "http://127.0.0.1:4200"},
            {"name": "mlflow", "pid": 1, "url": "http://127.0.0.1:5000"},
        ],
        "ready": True,
    }
    found = UpState.model_validate({**fields, **change})
    state.write_state(found, settings)
    return found


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment that says nothing of servers, and is put back."""
    for name in ("PREFECT_API_URL", "SYNTHGAP_TRACKING_URI", *LOGIN.of_prefect, *LOGIN.of_mlflow):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    yield monkeypatch


def test_a_run_beside_up_is_logged_in(settings: Settings, clean: pytest.MonkeyPatch) -> None:
    keep_login(settings, {CHOSEN: LOGIN.text})
    running(settings)
    state.use_running(settings)
    assert {name: os.environ.get(name) for name in LOGIN.of_prefect} == LOGIN.of_prefect
    assert {name: os.environ.get(name) for name in LOGIN.of_mlflow} == LOGIN.of_mlflow


def test_no_other_server_is_told_the_password(settings: Settings, clean: pytest.MonkeyPatch) -> None:
    keep_login(settings, {CHOSEN: LOGIN.text})
    clean.setenv("PREFECT_API_URL", "http://elsewhere/api")
    running(settings, services=[{"name": "mlflow", "url": "http://127.0.0.1:5000"}])  # which ``up`` did not start
    state.use_running(settings)
    assert [name for name in (*LOGIN.of_prefect, *LOGIN.of_mlflow) if name in os.environ] == []


def test_the_password_is_shown_where_it_is_asked_for_only(settings: Settings) -> None:
    keep_login(settings, {CHOSEN: LOGIN.text})
    with pytest.raises(RunError, match="synthgap up"):
        how_to_log_in(settings)
    found = running(settings)
    assert LOGIN.link("http://127.0.0.1:4200") in how_to_log_in(settings)
    assert LOGIN.password in how_to_log_in(settings)
    for kept in (found.summary(), state.path_of(settings).read_text()):
        assert LOGIN.password not in kept and LOGIN.basic not in kept
    assert "synthgap login" in found.summary() and "/v2/deployments" in found.summary()


def test_servers_of_somebody_else_are_shown_as_they_are() -> None:
    theirs = [Service(name="prefect", url="https://prefect.example"), Service(name="mlflow", url="https://ml.example")]
    fields = {"token": "t", "pid": 1, "created": "x", "prefect_api": "a", "tracking_uri": "b"}
    shown = UpState.model_validate({**fields, "services": theirs}).summary(LOGIN)
    assert "https://prefect.example   " in shown and LOGIN.password not in shown and LOGIN.basic not in shown


# ---- what servers see, and whom they ask -----------------------------------------------------------------------------


def test_a_server_gets_the_secrets_of_its_database_and_no_other() -> None:
    keys = {"OPENAI_API_KEY": "a", "AWS_SECRET_ACCESS_KEY": "b", "MLFLOW_TRACKING_PASSWORD": "c", "HF_TOKEN": "d"}
    needed = {"PREFECT_SERVER_DATABASE_PASSWORD": "e", "PGPASSWORD": "f"}
    plain = {"PATH": "/bin", "PREFECT_SERVER_LOGGING_LEVEL": "INFO", TOKEN: "by which `down` finds it"}
    assert without_secrets({**keys, **needed, **plain}, PREFECT_NEEDS) == {**needed, **plain}
    released = {"SYNTHGAP_KEYS": "DOOR_CODE", "DOOR_CODE": "g", "SYNTHGAP_KEY_MINE": "h", "PG_DOOR": "i"}
    shown = without_secrets({**released, "SYNTHGAP_MOST_TOKENS": "9", **plain}, PREFECT_NEEDS)
    assert shown == {"SYNTHGAP_KEYS": "DOOR_CODE", "PG_DOOR": "i", "SYNTHGAP_MOST_TOKENS": "9", **plain}
    files = {name: value for name, value in keys.items() if name.startswith("AWS_")}
    assert without_secrets({**keys, **plain}, re.compile("PG|AWS_")) == {**files, **plain}


HERE = {"Host": "127.0.0.1:5000"}


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),  # a program
        ({"Origin": "http://127.0.0.1:5000", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, False),  # a link on Prefect's page
        ({"Origin": "http://127.0.0.1:4200", "Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://127.0.0.1:4200", "Sec-Fetch-Mode": "navigate"}, True),  # a form
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, True),
    ],
)
def test_mlflow_is_for_its_own_pages_and_for_programs(headers: dict[str, str], refused: bool) -> None:
    assert of_another_page({**HERE, **headers}) is refused


def test_a_reverse_proxy_may_have_an_origin_of_its_own() -> None:
    sent = {**HERE, "Origin": "https://mlflow.example", "Sec-Fetch-Site": "same-origin"}
    assert of_another_page(sent) and not of_another_page(sent, "https://other.example, https://mlflow.example")
    assert not of_another_page({**sent, "Sec-Fetch-Site": "cross-site"}, "https://mlflow.example")


def test_prefects_pages_are_kept_to_their_server_unless_a_user_names_another(settings: Settings) -> None:
    pages = settings.home / "prefect" / "pages"
    for version in ("v1", "v2"):
        (pages / version).mkdir(parents=True)
        (pages / version / "index.html").write_text("<html><head><title>x</title></head></html>")
    prepare_pages(settings, {"PREFECT_SERVER_UI_API_URL": "https://api.example"})
    assert "connect-src" not in (pages / "v2" / "index.html").read_text()
    for _ in range(2):  # a server that starts again finds its pages as they are
        prepare_pages(settings, {})
    for version in ("v1", "v2"):
        assert (pages / version / "index.html").read_text().count("connect-src 'self'") == 1
    assert (pages / "v1" / PAGE).exists()


def test_without_pages_there_is_no_page_of_ours(settings: Settings) -> None:
    prepare_pages(settings, {})
    assert not list(settings.home.iterdir())


# ---- proxies ---------------------------------------------------------------------------------------------------------


def test_hosts_that_are_named_already_stay() -> None:
    both = past_proxies({"NO_PROXY": "a,localhost", "no_proxy": "b"})
    assert both["NO_PROXY"] == both["no_proxy"] == "a,localhost,b,127.0.0.1,::1"


@pytest.fixture
def healthy() -> Iterator[str]:
    """A server that answers everything with yes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_proxy_does_not_stand_before_this_machine(settings: Settings, healthy: str) -> None:
    listed = [{"name": "prefect", "pid": 1, "url": healthy, "health": f"{healthy}/health"}]
    running(settings, services=listed, ready=False)  # so that nobody asks it for runs
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    command = [sys.executable, "-m", "flows.cli", "status", "--json"]
    environment = {**kept, **proxies, "SYNTHGAP_HOME": str(settings.home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert [service["healthy"] for service in json.loads(done.stdout)["services"]] == [True], done.stderr
