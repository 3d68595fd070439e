"""Whom a browser lets give orders: the link that logs in, and pages of others, which get nothing done."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from flows.operations.login import PAGE, Login
from tests.browser.conftest import MINUTES, asked_by_mlflow
from tests.flows.home import Up, ask

pytestmark = pytest.mark.browser
expect.set_options(timeout=180_000)

ORDERS = """async ([address, body, mode, type]) => {
  const headers = { "Content-Type": type }
  const order = { method: body ? "POST" : "GET", mode, credentials: "include", headers, body: body || undefined }
  try {
    const answer = await fetch(address, order)
    return [answer.status, await answer.text()]
  } catch (error) {
    return [0, String(error)]
  }
}"""
"""A request as another page may make it: what it learns of the answer."""


@pytest.fixture
def context(browser: Browser, up: Up) -> BrowserContext:
    """A browser that nobody has logged in at Prefect; MLflow's password it knows.

    It closes with the browser, whose close ends: that of a context once waited for ever.
    """
    context = browser.new_context(http_credentials=asked_by_mlflow(up))
    context.set_default_timeout(MINUTES)
    return context


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    return context.new_page()


@dataclass
class Elsewhere:
    """A page of somebody else on this machine."""

    address: str
    asked: list[str] = field(default_factory=list)
    """What it was asked for."""


@pytest.fixture(params=["127.0.0.1", "localhost"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[Elsewhere]:
    """The same site as ours on another port, and another site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>theirs</title><p>theirs")

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found = Elsewhere(f"http://{request.param}:{server.server_port}/")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()


def stored(page: Page) -> str | None:
    return page.evaluate("localStorage.getItem('prefect-password')")


def test_without_the_link_prefect_asks_for_a_password(up: Up, tab: Page) -> None:
    tab.goto(f"{up.prefect_url}/v2/deployments")
    expect(tab.get_by_role("button", name="Login")).to_be_visible()
    expect(tab.get_by_text("new-llm")).to_have_count(0)


def test_the_link_opens_the_deployments_and_leaves_no_trace(up: Up, tab: Page) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(up.login.link(up.prefect_url))
    expect(tab.get_by_role("link", name="new-llm", exact=True)).to_be_visible()
    assert tab.url.startswith(f"{up.prefect_url}/v2/deployments")
    assert stored(tab) == up.login.basic
    assert not [url for url in asked[1:] if up.login.basic in url]
    tab.go_back()
    assert up.login.basic not in tab.url
    log = (up.path / "logs" / "prefect.log").read_text()
    assert up.login.basic not in log and up.login.password not in log


@pytest.mark.parametrize("fragment", ["", Login("synthgap", "of-another-home").basic, "<img src=x onerror=alert(1)>"])
def test_a_wrong_link_logs_nobody_in_and_leaves_a_right_login_alone(up: Up, tab: Page, fragment: str) -> None:
    tab.goto(f"{up.prefect_url}/{PAGE}#{fragment}")
    expect(tab.get_by_text("This link does not log in.")).to_be_visible()
    assert stored(tab) is None and tab.locator("img").count() == 0
    tab.goto(up.login.link(up.prefect_url))
    expect(tab.get_by_role("link", name="new-llm", exact=True)).to_be_visible()
    tab.goto(f"{up.prefect_url}/{PAGE}#{fragment}")
    expect(tab.get_by_text("This link does not log in.")).to_be_visible()
    assert stored(tab) == up.login.basic


def test_a_page_of_somebody_else_gets_nothing_done(
    up: Up, context: BrowserContext, tab: Page, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """In a browser whose user has logged in at both servers and looked at them."""
    tab.goto(up.login.link(up.prefect_url))
    expect(tab.get_by_role("link", name="new-llm", exact=True)).to_be_visible()
    tab.goto(up.mlflow_url)
    expect(tab.get_by_text("Experiments").first).to_be_visible()
    deployment = up.api("deployments/name/study/new-llm")["id"]
    run = json.dumps({"job_variables": {"command": f"touch {tmp_path}/done"}})
    orders = {
        f"{up.prefect_url}/api/deployments/{deployment}/create_flow_run": run,
        f"{up.prefect_url}/api/deployments/filter": "{}",
        f"{up.mlflow_url}/api/2.0/mlflow/experiments/create": json.dumps({"name": "theirs"}),
        f"{up.mlflow_url}/ajax-api/2.0/mlflow/experiments/create": json.dumps({"name": "theirs, too"}),
        f"{up.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=100": "",
    }
    theirs = context.new_page()
    theirs.goto(elsewhere.address)
    for address, body in orders.items():
        for mode, kind in (("cors", "application/json"), ("cors", "text/plain"), ("no-cors", "text/plain")):
            status, learned = theirs.evaluate(ORDERS, [address, body, mode, kind])
            assert status in (0, 401, 403), (address, mode, learned)
            assert "new-llm" not in learned and "experiment_id" not in learned
    theirs.evaluate(  # a form needs no leave of anybody
        """address => {
          document.body.innerHTML = `<form method="post" enctype="text/plain" action="${address}">
            <input name='{"name": "by a form", "x": "' value='"}'></form>`
          document.forms[0].submit()
        }""",
        f"{up.mlflow_url}/api/2.0/mlflow/experiments/create",
    )
    theirs.wait_for_url(f"{up.mlflow_url}/**")
    assert up.api("flow_runs/filter", {}) == [] and not list(tmp_path.iterdir())
    found = ask(f"{up.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=100", login=up.login)
    assert [one["name"] for one in json.loads(found)["experiments"]] == ["Default"]


def test_prefects_pages_talk_to_their_own_server_only(up: Up, tab: Page, elsewhere: Elsewhere) -> None:
    """They hold the password, and more than our scripts runs in them."""
    tab.goto(up.login.link(up.prefect_url))
    expect(tab.get_by_role("link", name="new-llm", exact=True)).to_be_visible()
    assert tab.evaluate(ORDERS, [elsewhere.address, "", "cors", "text/plain"])[0] == 0
    assert elsewhere.asked == []
    for path in ("deployments", "v2/events", "v2/dashboard"):
        tab.goto(f"{up.prefect_url}/{path}")
        expect(tab.get_by_text("Deployments").first).to_be_visible()
