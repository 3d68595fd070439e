"""API keys are in the environment and nowhere else, whatever a provider says and wherever a run breaks off."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.operations.process import marked_processes
from tests.endpoint import Endpoint, Reply
from tests.flows.home import KEY, Up, until
from tests.provider import MODEL, Provider, provider

pytestmark = pytest.mark.slow

LOGIN = "hunter2-planted"
"""A password in an address."""
SERVER_KEY = "planted-code-of-a-server"
"""What ``api_key_env`` names, in a variable whose name says nothing."""
OTHER = {
    "HF_TOKEN": "hf_planted_token_0123",
    "MLFLOW_TRACKING_PASSWORD": "planted-password-0123",
    "DOOR_CODE": SERVER_KEY,
}
ADDRESS = "http://127.0.0.1:1/v1"
GENERATORS = {
    "login": {"api_base": f"http://someone:{LOGIN}@127.0.0.1:1/v1"},
    "query": {"api_base": f"{ADDRESS}?api_key={LOGIN}"},
    "named": {"params": {"api_key": LOGIN}},
    "nested": {"params": {"extra_body": {"client": [{"clientSecret": LOGIN}]}}},
    "cloud": {"params": {"aws_secret_access_key": LOGIN, "vertex_credentials": LOGIN}},
    "header": {"params": {"extra_headers": {"X-Custom": LOGIN}}},
    "endpoint": {"endpoint": "sk-" + LOGIN + "-0123456789abcdef"},
    "variable": {"api_key_env": "sk-" + LOGIN + "-0123456789abcdef"},
    "parameter": {"params": {"top_p": KEY}},
}
"""Fields of a generator with a secret in them."""
STUDIES = {
    "account": {"account": "sk-" + LOGIN + "-0123456789abcdef"},
    "classifier": {"classifiers": [f"https://someone:{LOGIN}@host/model"]},
    "import": {"imports": [{"name": "i", "task": "sms_spam", "file": f"https://host/rows.csv?token={LOGIN}"}]},
    "task": {"tasks": [f"https://someone:{LOGIN}@host/task.yaml"]},
    "panel": {"subjectivity": {"annotators": [{"model": MODEL, "params": {"password": LOGIN}}]}},
}
"""Fields of a study, likewise."""


class Telltale(Endpoint):
    """Refuses every call with a status and quotes the key that it was sent."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def reply(self, body: dict[str, object]) -> Reply:
        sent = {name.lower(): value for name, value in self.headers[-1].items()}["authorization"]
        return self.status, {}, {"error": {"message": f"Incorrect API key provided: {sent}", "code": "invalid"}}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("up"), {**OTHER, "SYNTHGAP_KEYS": "DOOR_CODE"})
    process = up.up()
    yield up
    up.run("down")
    process.wait(60)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Provider]:
    with provider(latency=0.3) as running:
        yield running


def command_lines(token: str) -> str:
    lines = []
    for process in marked_processes(token):
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return "\n".join(lines)


def where_found(home: Path, *secrets: str) -> list[str]:
    """Files with a secret in them, byte by byte, and databases row by row."""
    found = []
    for path in filter(Path.is_file, home.rglob("*")):
        content = path.read_bytes()
        if path.suffix == ".db":
            with contextlib.closing(sqlite3.connect(path)) as database:
                content += "\n".join(database.iterdump()).encode()
        found += [str(path) for secret in secrets if secret.encode() in content]
    return found


def run(up: Up, study: str) -> dict[str, Any]:
    return up.ended(up.press(study))


def test_a_search_finds_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f'"{KEY}"')
    with contextlib.closing(sqlite3.connect(tmp_path / "b.db")) as database:
        database.execute("create table logs (message text)")
        database.execute("insert into logs values (?)", ["x" * 8000 + KEY + "y" * 8000])
        database.commit()
    assert where_found(tmp_path, KEY) and len(set(where_found(tmp_path, KEY))) == 2


def test_keys_are_nowhere(up: Up, endpoint: Provider) -> None:
    up.study(endpoint, "good", rows_per_label=20)
    first = up.press("good")
    until(lambda: endpoint.stats()["answered"] >= 6, "the study is under way")
    shown = command_lines(up.state.token) + up.run("status", "--json").stdout
    assert up.ended(first)["state_type"] == "COMPLETED"

    refusing = {status: Telltale(status) for status in (400, 401, 403, 404)}
    writers = [
        {"model": f"{MODEL}-{status}", "api_base": place.url, "api_key_env": "DOOR_CODE"}
        for status, place in refusing.items()
    ]
    study = up.study(endpoint, "refused", generators=writers)
    ended = run(up, "refused")
    assert ended["state_type"] == "FAILED", ended["state"]
    syntheses = up.results("refused")["syntheses"]
    assert len(syntheses) == len(refusing) and all(item["status"] == "failed" and item["error"] for item in syntheses)
    done = up.run("run", str(study), "--json")
    assert done.returncode == 1
    sent = [str(headers) for place in refusing.values() for headers in place.headers]
    assert len(sent) >= 2 * len(refusing) and all(SERVER_KEY in headers for headers in sent)  # it did travel
    assert not any(KEY in headers for headers in sent)
    said = done.stdout + done.stderr
    for place in refusing.values():
        place.server.shutdown()

    planted = {
        **{name: up.study(endpoint, name, generators=[{"model": MODEL, **more}]) for name, more in GENERATORS.items()},
        **{name: up.study(endpoint, name, **more) for name, more in STUDIES.items()},
        "comment": commented(up.study(endpoint, "comment")),
        "watch": up.path / "watches" / "watch.yaml",
        "noted": up.path / "watches" / "noted.yaml",
    }
    providers = [{"name": "mine", "api_base": GENERATORS["login"]["api_base"]}]
    planted["watch"].parent.mkdir()
    planted["watch"].write_text(json.dumps({"name": "watch", "study": "good", "providers": providers}))
    planted["noted"].write_text(json.dumps({"name": "noted", "study": "good", "providers": ["embedded"]}))
    commented(planted["noted"])
    for path in planted.values():
        until(lambda file=path.name: any(file in line for line in up.state.complaints), f"{path} is complained about")
    for path in planted.values():
        if path.parent.name == "studies":
            refused = up.run("plan", str(path))
            assert refused.returncode == 2 and "what looks like a secret" in refused.stderr, (path, refused.stderr)
            said += refused.stdout + refused.stderr
    said += str(up.state.complaints)
    for path in planted.values():
        path.unlink()

    secrets = [KEY, LOGIN, *OTHER.values()]
    assert [secret for secret in secrets if secret in shown + said] == []
    assert where_found(up.path, *secrets) == []


def commented(path: Path) -> Path:
    """The same file with a secret in its first comment, which a deployment is described by."""
    path.write_text(f"# Ask http://someone:{LOGIN}@127.0.0.1:1/v1.\n{path.read_text()}")
    return path
