"""A browser, and a home where ``synthgap up`` runs, with a study whose LLMs answer from this process.

``SYNTHGAP_PICTURES`` names a folder for the pictures that the tests take; those that docs/OPERATIONS.md shows are made
so. No test waits for a time, each for what it needs to see; a picture waits for what glides.
"""

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, HttpCredentials, Page, sync_playwright

from flows.operations.process import end_processes, marked_processes
from tests.browser.writer import NEWER, OLDER, Writer
from tests.flows.home import Up

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
MINUTES = 3 * 60_000
"""Milliseconds that a page may take on a busy machine."""
WIDTH, HEIGHT = 1440, 900
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
"""MLflow opens a panel on a first visit, over the table that we look at."""
OWNER = re.compile("^synthgap@")
"""Tag that names the machine, which is nobody's business."""
STUDY = {
    "name": "new-llm",
    "tasks": ["sms_spam"],
    "modes": ["real", "zero_shot", "few_shot"],
    "classifiers": ["probe/embedded/minilm-l6"],
    "seeds": [0, 1],
    "rows_per_label": 10,
    "test_rows": 200,
    "reference_rows": 0,
    "tolerance": 0.05,
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A home where ``up`` runs, until the end of the module."""
    writer = Writer()
    up = Up(tmp_path_factory.mktemp("home"))
    models = [{"model": name, "api_base": writer.url} for name in (OLDER, NEWER)]
    (up.path / "studies").mkdir()
    comment = "# Does the new version of our LLM write better training rows than the one before?"
    text = json.dumps(STUDY | {"generators": models})
    (up.path / "studies" / "new-llm.yaml").write_text(f"{comment}\n{text}")
    process = up.up()
    token = up.state.token
    yield up
    up.run("down")
    process.communicate(timeout=60)
    end_processes(marked_processes(token), 0)
    writer.server.shutdown()


def asked_by_mlflow(up: Up) -> HttpCredentials:
    """What a person fills in when MLflow asks, which the browser remembers."""
    login = up.login
    return {"username": login.user, "password": login.password, "origin": up.mlflow_url}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    options = ["--no-sandbox", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options, timeout=MINUTES)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser, up: Up) -> Page:
    """One page for the module: its tests are one person's way through both interfaces."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", http_credentials=asked_by_mlflow(up)
    )
    context.set_default_timeout(MINUTES)
    context.set_default_navigation_timeout(MINUTES)
    context.add_init_script(NO_ASSISTANT)
    return context.new_page()


@pytest.fixture(autouse=True)
def seen_at_failure(page: Page, request: pytest.FixtureRequest) -> Iterator[None]:
    """Where pictures are wanted, one of what a failed test saw last."""
    failed = request.session.testsfailed
    yield
    folder = os.environ.get("SYNTHGAP_PICTURES")
    if folder and request.session.testsfailed > failed:
        page.context.pages[-1].screenshot(path=Path(folder) / f"failed-{request.node.name}.png")


@pytest.fixture(scope="module")
def picture() -> Callable[..., None]:
    """Saves what a page shows, where pictures are wanted, in fewer colours than a screen has."""
    folder = os.environ.get("SYNTHGAP_PICTURES")

    def save(page: Page, name: str, height: int = HEIGHT, width: int = WIDTH) -> None:
        if not folder:
            return
        page.set_viewport_size({"width": width, "height": height})
        for button in page.locator("[aria-label='Hide banner']:visible").all():  # on a view of MLflow
            button.click()
        for tag in page.get_by_text(OWNER).all():
            tag.evaluate("tag => tag.textContent = 'synthgap@host'")
        for path in page.get_by_text("mlflow-artifacts/").all():  # a folder of this machine
            path.evaluate("node => node.textContent = node.textContent.replace(/file:.*mlflow-artifacts/, '...')")
        page.wait_for_timeout(3000)  # for fonts, and graphs that glide
        taken = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
        taken.quantize(256, Image.Quantize.FASTOCTREE).save(Path(folder) / f"{name}.png", optimize=True)
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    return save
