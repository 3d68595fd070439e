"""A person's way through both interfaces: start a study from its form, watch it, read its answer, compare trials."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.flows.test_operations_live import Place, until

pytestmark = pytest.mark.browser
expect.set_options(timeout=180_000)  # a busy machine draws slowly

Picture = Callable[[Page, str], None]


def prefect(place: Place, path: str) -> str:
    return f"http://127.0.0.1:{place.prefect}/{path}"


def artifacts(place: Place, run: str, kind: str) -> list[dict[str, Any]]:
    found = place.api("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": [kind]}}})
    return sorted(found, key=lambda artifact: str(artifact["key"]))


def opened(link: Locator) -> Page:
    """The page that a link leads to, as a tab of its own."""
    with link.page.context.expect_page() as tab:
        link.click(modifiers=["ControlOrMeta"])
    return tab.value


@pytest.fixture(scope="module")
def run(place: Place, page: Page, picture: Picture) -> str:
    """A custom run of the study, started from its form with more rows than its file says; the run's id."""
    page.goto(prefect(place, "deployments"))
    page.get_by_role("link", name="new-llm", exact=True).click()
    expect(page.get_by_text("Does the new LLM write better training rows")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    field = page.get_by_text("rows_per_label", exact=True).locator("xpath=following::input[1]")
    expect(field).to_have_value("10")
    field.fill("20")
    picture(page, "prefect-form")
    page.get_by_role("button", name="Submit").click()
    started = {"deployments": {"name": {"any_": ["new-llm"]}}}
    return str(until(lambda: place.api("flow_runs/filter", started), "the run is there")[0]["id"])


@pytest.fixture(scope="module")
def ended(place: Place, page: Page, run: str) -> str:
    """The same run when it has ended."""
    assert place.ended(run)["state_type"] == "COMPLETED"
    return run


def test_a_form_starts_a_run_with_what_was_changed(place: Place, run: str) -> None:
    assert place.api(f"flow_runs/{run}")["parameters"]["rows_per_label"] == 20


def test_a_run_is_watched_to_its_end(place: Place, page: Page, run: str, picture: Picture) -> None:
    page.goto(prefect(place, f"runs/flow-run/{run}"))
    [progress] = until(
        lambda: [one for one in artifacts(place, run, "progress") if one["key"]], "the progress of the study"
    )
    until(lambda: place.api(f"artifacts/{progress['id']}")["data"] > 30, "a third is done")
    expect(page.get_by_text("Running", exact=True).first).to_be_visible()
    picture(page, "prefect-running")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile("trial sms_spam · real · .* seed 0: 1/1 .macro-F1")).first).to_be_visible()
    picture(page, "prefect-run")


def test_stages_and_study_have_their_logs(place: Place, ended: str) -> None:
    logs = place.api("logs/filter", {"logs": {"flow_run_id": {"any_": [ended]}}, "limit": 200})
    ours = [log for log in logs if log["name"] == "synthgap" and log["level"] >= 20]
    of_stages = [log["message"] for log in ours if log["task_run_id"]]
    assert sum(message.startswith("synthesize ") for message in of_stages) == 4
    assert sum(message.startswith("trial ") for message in of_stages) == 10
    assert any("4 syntheses" in log["message"] and not log["task_run_id"] for log in ours)
    assert not [log for log in logs if log["level"] < 20], "steps are kept out"


def test_stages_are_named_for_people(place: Place, ended: str) -> None:
    runs = place.api("task_runs/filter", {"flow_runs": {"id": {"any_": [ended]}}, "limit": 200})
    names = {run["name"] for run in runs}
    assert len(names) == len(runs)
    assert {"load · sms_spam", "compare", "report"} <= names
    assert "trial · sms_spam · few_shot · openai/new-llm · probe/embedded/minilm-l6 · seed 1" in names
    assert "describe · sms_spam · zero_shot · openai/old-llm · draw 0" in names


def test_progress_is_shown_of_the_study_and_each_synthesis(place: Place, ended: str) -> None:
    found = artifacts(place, ended, "progress")
    assert len(found) == 5 and {one["data"] for one in found} == {100}
    [study] = [one for one in found if one["key"]]
    assert study["description"] == "4 of 4 syntheses, 11 of 11 trials"
    assert all("done" in one["description"] and one["task_run_id"] for one in found if not one["key"])


def test_the_table_is_a_row_for_each_comparison(place: Place, page: Page, ended: str, picture: Picture) -> None:
    page.goto(prefect(place, "artifacts"))
    page.get_by_text("synthgap-new-llm-comparisons").first.click()
    expect(page.get_by_text("few-shot · new-llm").first).to_be_visible()
    expect(page.get_by_text("good enough?").first).to_be_visible()
    picture(page, "prefect-table")


def test_the_summary_leads_to_mlflow_where_two_trials_are_compared(
    place: Place, page: Page, ended: str, picture: Picture
) -> None:
    [summary] = artifacts(place, ended, "markdown")
    page.goto(prefect(place, f"artifacts/artifact/{summary['id']}"))
    expect(page.get_by_text("can I train on synthetic data?").first).to_be_visible()
    picture(page, "prefect-summary")
    runs = opened(page.get_by_role("link", name="Trial by trial"))
    boxes = runs.get_by_role("row").filter(has_text="few_shot").get_by_role("checkbox")
    boxes.nth(0).check()
    boxes.nth(1).check()
    runs.get_by_role("button", name="Compare").click()
    expect(runs.get_by_text(re.compile("Comparing 2 Runs"))).to_be_visible()
    expect(runs.get_by_text("macro_f1").first).to_be_visible()
    picture(runs, "mlflow-compare")
    runs.close()


def linked(place: Place, run: str, name: str) -> str:
    """The address of one of the links that a study ends with."""
    [link] = [one for one in artifacts(place, run, "link") if one["key"] and one["key"].endswith(name)]
    return re.search(r"\((http[^)]+)\)", link["data"])[1]


def test_a_view_of_mlflow_says_which_llm_and_mode_is_best(
    place: Place, page: Page, ended: str, picture: Picture
) -> None:
    page.goto(linked(place, ended, "best"))
    groups = page.get_by_text(re.compile("^Group: sms_spam · "))
    expect(groups).to_have_count(6)
    assert "real" in groups.first.inner_text()
    picture(page, "mlflow-best")
    page.goto(linked(place, ended, "best") + "&compareRunsMode=CHART")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    picture(page, "mlflow-charts")


def test_a_trial_leads_to_its_run(place: Place, page: Page, ended: str, picture: Picture) -> None:
    trials = [one for one in artifacts(place, ended, "link") if not one["key"]]
    assert len(trials) == 11 and all(one["task_run_id"] for one in trials)
    [trial] = [
        one for one in trials if "few_shot · openai/new-llm" in one["description"] and "seed 0" in one["description"]
    ]
    page.goto(re.search(r"\((http[^)]+)\)", trial["data"])[1])
    expect(page.get_by_text("gap_low").first).to_be_visible()
    picture(page, "mlflow-trial")


def test_the_report_is_a_page_of_mlflow(place: Place, page: Page, ended: str, picture: Picture) -> None:
    page.goto(linked(place, ended, "report"))
    report = page.frame_locator("iframe").first
    expect(report.get_by_text("SMS").first).to_be_visible()
    picture(page, "mlflow-report")
