"""A person's way through both interfaces: start a study from its form, watch it, read its answer, compare curves.

Both are looked at as they open for somebody who is new to them; Prefect's opens in its second version.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tasks.tracking.runs import VIEW
from tests.browser.writer import NEWER, OLDER
from tests.flows.home import Up, until

pytestmark = pytest.mark.browser
expect.set_options(timeout=180_000)  # a busy machine draws slowly

Picture = Callable[..., None]
TRIALS = 11
"""Two seeds of real rows and of each LLM in two modes, and the most frequent label."""
CURVES = 6
"""Each of these, whatever its seeds."""


def prefect(up: Up, path: str = "") -> str:
    return f"{up.prefect_url}/v2/{path}"


def artifacts(up: Up, run: str, kind: str) -> list[dict[str, Any]]:
    found = up.api("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": [kind]}}})
    return sorted(found, key=lambda artifact: str(artifact["key"]))


def links(up: Up, run: str) -> list[dict[str, Any]]:
    """Artifacts that are a link, which Prefect keeps as Markdown."""
    return [one for one in artifacts(up, run, "markdown") if one["data"].startswith("[")]


def address(link: dict[str, Any]) -> str:
    return str(re.search(r"\((http[^)]+)\)", link["data"])[1])


def linked(up: Up, run: str, name: str) -> str:
    """The address of one of the links that a study ends with."""
    [link] = [one for one in links(up, run) if one["key"] and one["key"].endswith(name)]
    return address(link)


def opened(link: Locator) -> Page:
    """The page that a link leads to, as a tab of its own."""
    with link.page.context.expect_page() as tab:
        link.click(modifiers=["ControlOrMeta"])
    if tab.value.url.startswith("chrome-error:"):  # the driver answers MLflow's question only in tabs that it knows
        tab.value.goto(str(link.get_attribute("href")))
    return tab.value


def field(page: Page, name: str) -> Locator:
    return page.get_by_text(name, exact=True).locator("xpath=following::input[1]")


def started(up: Up) -> list[dict[str, Any]]:
    return list(up.api("flow_runs/filter", {"deployments": {"name": {"any_": ["new-llm"]}}}))


@pytest.fixture(scope="module")
def form(up: Up, page: Page) -> Page:
    """The form of a custom run, reached from the link that ``up`` prints."""
    page.goto(up.login.link(up.prefect_url))
    page.get_by_role("link", name="new-llm", exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    expect(field(page, "rows_per_label")).to_have_value("10")
    return page


@pytest.fixture(scope="module")
def run(up: Up, form: Page) -> str:
    """A custom run of the study, started from its form with more rows than its file says; the run's id."""
    form.reload()  # a form that was just refused may send its old values once more
    expect(field(form, "rows_per_label")).to_have_value("10")
    field(form, "rows_per_label").fill("20")
    form.get_by_role("button", name="Submit").click()
    expect(form.get_by_role("button", name="Submit")).to_be_hidden()  # it was taken
    return str(until(lambda: started(up), "the run is there")[0]["id"])


@pytest.fixture(scope="module")
def ended(up: Up, run: str) -> str:
    """The same run when it has ended."""
    assert up.ended(run)["state_type"] == "COMPLETED"
    return run


def test_a_form_says_what_can_be_chosen(form: Page, picture: Picture) -> None:
    expect(form.get_by_text("Training rows for each label, synthetic and real alike.")).to_be_visible()
    assert [form.locator("textarea").nth(row).input_value() for row in (1, 2)] == [OLDER, NEWER]
    picture(form, "prefect-form", height=1110)
    form.get_by_label("Select modes").click()
    expect(form.get_by_role("option", name="pool_plus_synthetic")).to_be_visible()
    form.keyboard.press("Escape")


def test_a_form_refuses_what_can_never_be(up: Up, form: Page) -> None:
    field(form, "rows_per_label").fill("0")
    form.get_by_role("button", name="Submit").click()
    expect(form.get_by_text("0 is less than or equal to the minimum of 0", exact=True)).to_be_visible()
    assert started(up) == []


def test_a_form_starts_a_run_with_what_was_changed(up: Up, run: str) -> None:
    parameters = up.api(f"flow_runs/{run}")["parameters"]
    assert (parameters["rows_per_label"], parameters["seeds"], parameters["own_tasks"]) == (20, [0, 1], [])


def test_a_run_is_watched_to_its_end(up: Up, page: Page, run: str, picture: Picture) -> None:
    [progress] = until(
        lambda: [one for one in artifacts(up, run, "progress") if one["key"]], "the progress of the study"
    )
    until(lambda: up.api(f"artifacts/{progress['id']}")["data"] > 40, "synthesized, and some trials are done")
    page.goto(prefect(up, f"runs/flow-run/{run}"))
    expect(page.get_by_text("Running", exact=True).first).to_be_visible()
    expect(page.get_by_text("Beginning flow run")).to_be_visible()
    page.get_by_role("tab", name="Task Runs").click()
    expect(page.locator("a[title^='screen · sms_spam · real · ']").first).to_be_visible()
    picture(page, "prefect-running")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()


def test_stages_and_study_have_their_logs(up: Up, ended: str) -> None:
    logs = up.api("logs/filter", {"logs": {"flow_run_id": {"any_": [ended]}}, "limit": 200})
    ours = [log for log in logs if log["name"] == "synthgap" and log["level"] >= 20]
    of_stages = [log["message"] for log in ours if log["task_run_id"]]
    assert sum(message.startswith("synthesize ") for message in of_stages) == 4
    assert sum(message.startswith("trial ") for message in of_stages) == TRIALS
    assert any("4 syntheses" in log["message"] and not log["task_run_id"] for log in ours)
    assert not [log for log in logs if log["level"] < 20], "steps are kept out"


def test_stages_are_named_for_people(up: Up, ended: str) -> None:
    runs = up.api("task_runs/filter", {"flow_runs": {"id": {"any_": [ended]}}, "limit": 200})
    names = {run["name"] for run in runs}
    assert len(names) == len(runs)
    assert {"load · sms_spam", "compare", "report", "classify · sms_spam · majority · seed 0"} <= names
    assert any(name.startswith(f"screen · sms_spam · few_shot · {NEWER} · probe/embedded/minilm-l6") for name in names)
    assert f"describe · sms_spam · zero_shot · {OLDER} · draw 0" in names


def test_progress_is_shown_of_the_study_and_each_synthesis(up: Up, ended: str) -> None:
    found = artifacts(up, ended, "progress")
    assert len(found) == 5 and {one["data"] for one in found} == {100}
    [study] = [one for one in found if one["key"]]
    assert study["description"] == f"4 of 4 syntheses, {TRIALS} of {TRIALS} trials"
    assert all("done" in one["description"] and one["task_run_id"] for one in found if not one["key"])


def test_the_table_is_a_row_for_each_comparison(up: Up, page: Page, ended: str, picture: Picture) -> None:
    page.goto(prefect(up, "artifacts"))
    page.get_by_text("synthgap-new-llm-comparisons").first.click()
    [table] = artifacts(up, ended, "table")
    page.locator(f"a[href*='{table['id']}']").first.click()
    expect(page.get_by_role("cell", name="in-house-v2")).to_have_count(2)
    expect(page.get_by_role("columnheader", name="good enough?")).to_be_in_viewport()
    picture(page, "prefect-table")


def test_the_summary_leads_to_mlflow_where_two_curves_are_compared(
    up: Up, page: Page, ended: str, picture: Picture
) -> None:
    [summary] = [one for one in artifacts(up, ended, "markdown") if one["data"].startswith("#")]
    page.goto(prefect(up, f"artifacts/artifact/{summary['id']}"))
    expect(page.get_by_text("can I train on synthetic data?").first).to_be_visible()
    runs = opened(page.get_by_role("link", name="Curves of all runs"))
    for writer in ("in-house-v1", "in-house-v2"):
        name = f"sms_spam · few_shot · {writer} · probe minilm-l6"
        row = runs.locator(".ag-row").filter(has=runs.get_by_text(name, exact=True)).first
        row.get_by_role("checkbox").first.click()
    runs.get_by_role("button", name="Compare").click()
    expect(runs.get_by_text("Comparing 2 Runs")).to_be_visible()
    expect(runs.get_by_text("macro_f1").last).to_be_visible()
    runs.get_by_text("Run details").evaluate("heading => heading.scrollIntoView()")
    picture(runs, "mlflow-compare", height=1400)
    runs.close()


def test_a_view_of_mlflow_says_which_llm_and_mode_is_best(up: Up, page: Page, ended: str, picture: Picture) -> None:
    page.goto(linked(up, ended, "best"))
    curves = page.locator(".ag-row").get_by_text(re.compile("^sms_spam · "))
    expect(curves.filter(has_text=re.compile("^sms_spam · real · probe minilm-l6$")).first).to_be_visible()
    expect(page.get_by_text("matching runs")).to_contain_text(str(CURVES))
    assert "in-house-v2" in curves.nth(1).inner_text(), "best first, and real rows before them"
    picture(page, "mlflow-best", width=1760)
    page.goto(linked(up, ended, "best") + "&compareRunsMode=CHART")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    picture(page, "mlflow-charts")


def test_a_curve_shows_its_replicates_as_a_table(up: Up, page: Page, ended: str, picture: Picture) -> None:
    cells = up.results("new-llm")["cells"]
    [curve] = {cell["run_id"] for cell in cells if cell["arm"]["mode"] == "real"}
    experiment = re.search(r"experiments/(\d+)/", linked(up, ended, "best"))[1]
    page.goto(f"{up.mlflow_url}/#/experiments/{experiment}/runs/{curve}/artifacts/replicates.json?{VIEW}")
    expect(page.get_by_text("macro_f1").first).to_be_visible()
    for cell in cells:
        if cell["run_id"] == curve:
            expect(page.get_by_text(cell["key"]).first).to_be_visible()
    picture(page, "mlflow-replicates")


def test_the_report_is_a_page_of_mlflow(up: Up, page: Page, ended: str) -> None:
    page.goto(linked(up, ended, "report"))
    report = page.frame_locator("iframe").first
    expect(report.get_by_text("Can I train my classifier on synthetic data?").first).to_be_visible()
