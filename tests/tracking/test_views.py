"""The views that MLflow offers ready-made: readable by its interface, and of names that are logged."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
from mlflow.utils.validation import _validate_metric_name as validate_metric_name

from tasks.tracking.contents import LONGEST_NAME, as_metrics, as_params, trial_metrics, trial_params
from tasks.tracking.views import TAG, TRIALS_ONLY, view_tags
from tests.tracking.test_runs import job, trial

VIEWS = view_tags()


def state(tag: str) -> dict[str, Any]:
    kind, _, packed = json.loads(VIEWS[tag])["state"].partition(";")
    assert kind == "deflate"
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def test_every_view_has_a_name_of_its_own() -> None:
    names = [json.loads(view)["name"] for view in VIEWS.values()]
    assert len(set(names)) == len(names) == 3
    assert all(tag.startswith(TAG) and len(value) < 5000 for tag, value in VIEWS.items())  # MLflow's limit of a tag


@pytest.mark.parametrize("tag", VIEWS)
def test_trials_are_shown_by_what_they_have(tag: str) -> None:
    view = state(tag)
    if view["searchFilter"] != TRIALS_ONLY:
        return
    params = {param.key for param in as_params(trial_params(trial(), job()))}
    metrics = {metric.key for metric in as_metrics(trial_metrics(trial()))} | {
        "gap",
        "gap_low",
        "gap_high",
    }
    names = [
        re.fullmatch(r"(\w+)\.`(.+)`", column).groups() for column in (*view["selectedColumns"], view["orderByKey"])
    ]
    assert {name for kind, name in names if kind == "params"} <= params
    assert {name for kind, name in names if kind == "metrics"} <= metrics
    keys = view["groupBy"]["groupByKeys"] if view["groupBy"] else []
    assert {key["groupByData"] for key in keys} <= params


def test_long_names_and_addresses_become_names_that_mlflow_takes_and_stay_apart() -> None:
    llm = "hosted_vllm/meta-llama/Llama-3.1-8B-Instruct (temperature 0.5, api_base https://llm-1.example.org/v1)"
    keys = [f"gap/task/few_shot/{llm}/probe/embedded/minilm-l6 ({'x' * n})" for n in (1, 2, 200, 201)]
    names = [metric.key for metric in as_metrics(dict.fromkeys(keys, 0.5))]
    assert len(set(names)) == 4 and max(map(len, names)) <= LONGEST_NAME
    for name in names:
        validate_metric_name(name)
        assert name.startswith("gap/task/few_shot/")  # by which MLflow's page groups them
