"""What the processes of ``up`` and the servers find in their environment."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows.operations import state
from flows.operations.environment import PREFECT_NEEDS, TOKEN, past_proxies, service_environment, without_secrets
from tasks.settings import Settings
from tests.flows.operations.states import up_state


def test_services_have_our_environment_and_their_mark(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    monkeypatch.setenv("NO_PROXY", "intranet")
    environment = service_environment("t", settings)
    assert environment["PREFECT_HOME"] == str(settings.home / "prefect")
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet,127.0.0.1,localhost,::1"
    assert environment["OPENAI_API_KEY"] == "sk-planted"
    assert environment["SYNTHGAP_HOME"] == str(settings.home)
    assert environment[TOKEN] == "t"


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
    state.write_state(up_state(services=listed, ready=False), settings)  # not ready: nobody asks it for runs
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    command = [sys.executable, "-m", "flows.cli", "status", "--json"]
    environment = {**kept, **proxies, "SYNTHGAP_HOME": str(settings.home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert [service["healthy"] for service in json.loads(done.stdout)["services"]] == [True], done.stderr
