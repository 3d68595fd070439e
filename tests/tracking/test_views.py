"""The views that MLflow offers ready-made: readable by its interface, and of names that are logged."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
from mlflow.utils.validation import _validate_metric_name as validate_metric_name

from tasks.config import StudyConfig
from tasks.records import Comparison, Gap, Interval
from tasks.tracking.contents import LONGEST_NAME, as_metrics, as_params, trial_metrics, trial_params
from tasks.tracking.curves import curve_params, point
from tasks.tracking.views import BEST, CURVES, TAG, TRIALS, common_views, is_ours, newest_view
from tests.tracking.test_runs import ARM, job, trial

VIEWS = {**common_views(), **newest_view("0" * 32, lines=False)}
CONFIG = StudyConfig(name="s", tasks=("sms_spam",), modes=("few_shot",))


def unpacked(view: str) -> dict[str, Any]:
    kind, _, packed = json.loads(view)["state"].partition(";")
    assert kind == "deflate"
    return dict(json.loads(zlib.decompress(base64.b64decode(packed))))


def test_every_view_has_a_name_of_its_own() -> None:
    names = [json.loads(view)["name"] for view in VIEWS.values()]
    assert len(set(names)) == len(names) == 4
    assert all(tag.startswith(TAG) and len(value) < 5000 for tag, value in VIEWS.items())  # MLflow's limit of a tag


def test_a_view_is_ours_until_somebody_changes_it() -> None:
    for view in VIEWS.values():
        assert is_ours(view)
        changed = json.loads(view)
        assert not is_ours(json.dumps(changed | {"state": changed["state"] + "="}))
        del changed["synthgap"]  # as MLflow saves one anew
        assert not is_ours(json.dumps(changed))
    for text in ("", "changed", "[]", "null", '{"state": 1}'):
        assert not is_ours(text)


def logged(key: str) -> tuple[set[str], set[str]]:
    """Names of parameters and metrics of the runs that a view shows."""
    if key == TRIALS:
        return {p.key for p in as_params(trial_params(trial(), job()))}, {
            m.key for m in as_metrics(trial_metrics(trial()))
        }
    known, gap = Interval(0.8, 0.7, 0.9), Gap(-0.1, -0.2, 0.1, 0.5, 1.0)
    compared = Comparison(ARM, (0,), known, known, gap, "undecided", "")
    params = {param.key for param in as_params(curve_params(ARM, CONFIG))}
    return params, {metric.key for metric in as_metrics(point(ARM, [trial()], compared, []))}


@pytest.mark.parametrize("key", [BEST, CURVES, TRIALS])
def test_runs_are_shown_by_what_they_have(key: str) -> None:
    view, (params, metrics) = unpacked(VIEWS[TAG + key]), logged(key)
    columns = [column for column in (*view["selectedColumns"], view["orderByKey"]) if column.startswith(("m", "p"))]
    names = [re.fullmatch(r"(\w+)\.`(.+)`", column).groups() for column in columns]
    assert names
    assert {name for kind, name in names if kind == "params"} <= params
    assert {name for kind, name in names if kind == "metrics"} <= metrics


@pytest.mark.parametrize(("lines", "kind"), [(False, "BAR"), (True, "LINE")])
def test_curves_of_several_sizes_are_lines_over_the_step(lines: bool, kind: str) -> None:
    [view] = newest_view("0" * 32, lines).values()
    charts = unpacked(view)["compareRunCharts"]
    assert {chart["type"] for chart in charts} == {kind}
    assert {chart.get("xAxisKey", "none") for chart in charts} == ({"step"} if lines else {"none"})


def test_long_names_and_addresses_become_names_that_mlflow_takes_and_stay_apart() -> None:
    llm = "hosted_vllm/meta-llama/Llama-3.1-8B-Instruct (temperature 0.5, api_base https://llm-1.example.org/v1)"
    keys = [f"gap/task/few_shot/{llm}/probe/embedded/minilm-l6 ({'x' * n})" for n in (1, 2, 200, 201)]
    names = [metric.key for metric in as_metrics(dict.fromkeys(keys, 0.5))]
    assert len(set(names)) == 4 and max(map(len, names)) <= LONGEST_NAME
    for name in names:
        validate_metric_name(name)
        assert name.startswith("gap/task/few_shot/")  # by which MLflow's page groups them
