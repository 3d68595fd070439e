"""Ready-made views of a study's runs for MLflow's user interface, as it saves them itself: tags of the experiment.

A person finds them under "Views" above the table of runs. MLflow has no interface for them; the format is that of the
version that is pinned, and another version that does not know it shows its own table. Nothing here imports mlflow.
"""

import base64
import json
import time
import zlib
from collections.abc import Sequence
from typing import Any

TAG = "mlflow.sharedViewState."
BEST, TRIALS, RUNS = "synthgap-best", "synthgap-trials", "synthgap-runs"
"""Keys of the views, as ``viewStateShareKey`` in an address."""
TRIALS_ONLY = "params.task LIKE '%'"
"""Runs of cells; the runs of whole studies have no task."""
STUDIES_ONLY = "tags.`synthgap.study` LIKE '%'"
WIDTHS = {"attributes.`Run Name`": 650, "metrics.`macro_f1`": 140, "metrics.`gap`": 150}
"""Pixels, for the name of a group of trials, and for what MLflow writes beside a mean."""
CHARTS = ("macro_f1", "gap", "accuracy", "cost_usd")
SECTIONS = ("Scores", "Model metrics")
"""Of the page of charts; MLflow puts the metrics that have no chart in a view into its own section, the second."""


def view_tags() -> dict[str, str]:
    """All views by the tag of an experiment that holds them."""
    scores = [_column("metrics", name) for name in ("macro_f1", "gap", "gap_low", "gap_high")]
    sizes = [_column("metrics", name) for name in ("accuracy", "n_train")]
    cell = [_column("params", name) for name in ("task", "mode", "generator", "classifier", "seed")]
    totals = [_column("metrics", name) for name in ("cells", "cells_failed", "calls", "cost_usd", "seconds")]
    by_score = {"orderByKey": _column("metrics", "macro_f1")}
    grouped = {"groupBy": _by("arm"), "groupsExpanded": {}}
    return {
        TAG + BEST: _view("Which LLM and mode is best", TRIALS_ONLY, [*scores, *sizes], **by_score, **grouped),
        TAG + TRIALS: _view("Trial by trial", TRIALS_ONLY, [*scores, *cell], **by_score),
        TAG + RUNS: _view("Runs of the whole study", STUDIES_ONLY, totals),
    }


def _view(name: str, where: str, shown: Sequence[str], **more: Any) -> str:
    state = {
        "searchFilter": where,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(shown),
        "columnOrder": ["attributes.`Run Name`", *shown],
        "columnWidths": WIDTHS,
        "groupBy": None,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": [_chart(metric) for metric in CHARTS],
        "compareRunSections": [{"uuid": name, "name": name, "display": True, "isReordered": True} for name in SECTIONS],
        "isAccordionReordered": True,
        **more,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _by(param: str) -> dict[str, Any]:
    """Runs that have the same value of a parameter as one row, which shows the mean of each metric."""
    return {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": param}]}


def _chart(metric: str) -> dict[str, Any]:
    return {
        "uuid": f"synthgap-{metric}",
        "type": "BAR",
        "metricKey": metric,
        "displayName": metric,
        "metricSectionId": SECTIONS[0],
        "runsCountToCompare": 30,
        "deleted": False,
        "isGenerated": True,
    }
