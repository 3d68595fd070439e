"""Ready-made views of a study's runs in MLflow's user interface, in the form in which it saves views: as tags.

They are in the menu at the top right of the table of runs. MLflow has no API for views. The format is that of the
pinned version; a version that does not know it shows its default table. The view of the newest run is written at the
end of the run, the others with the experiment. This module does not import mlflow.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Sequence
from typing import Any

from tasks.tracking.tags import KIND, PARENT, STUDY

TAG = "mlflow.sharedViewState."
BEST, CURVES, TRIALS, RUNS = "synthgap-newest", "synthgap-curves", "synthgap-fine-tuned", "synthgap-runs"
"""Keys of the views, as ``viewStateShareKey`` in an address. Experiments of earlier versions also have the views
``synthgap-best`` and ``synthgap-trials`` of a run for each cell, which stay."""
OURS = "synthgap"
"""Field of a view with a hash of its state. It shows whether a user has changed the view."""
WIDTHS = {"attributes.`Run Name`": 560, "metrics.`macro_f1`": 110, "metrics.`gap`": 110}
"""Widths of columns in pixels; the name of a curve is long."""
CHARTS = ("macro_f1", "gap", "accuracy", "cost_usd")
LINES = ("macro_f1", "gap", "accuracy")
"""Metrics that are drawn over the number of rows."""
SECTIONS = ("Scores", "Model metrics")
"""Sections of the page of charts. MLflow puts metrics without a chart in the view into its own section, the second."""
SCORES = ("macro_f1", "gap", "gap_low", "gap_high", "accuracy", "n_train")


def common_views() -> dict[str, str]:
    """The views that do not depend on a run, by their tag in the experiment."""
    scores = [_column("metrics", name) for name in SCORES]
    cell = [_column("params", name) for name in ("task", "mode", "generator", "classifier")]
    trial = [_column("metrics", name) for name in ("macro_f1", "accuracy", "n_train", "seconds")]
    totals = [_column("metrics", name) for name in ("cells", "cells_failed", "calls", "cost_usd", "seconds")]
    by_score = {"orderByKey": _column("metrics", "macro_f1")}
    seed = _column("params", "seed")
    return {
        TAG + CURVES: _view("Curves of all runs", _of_kind("curve"), [*scores, *cell], _bars(), **by_score),
        TAG + TRIALS: _view("Fine-tuned trials", _of_kind("trial"), [*trial, *cell, seed], _bars(), **by_score),
        TAG + RUNS: _view("Runs of the whole study", f"tags.`{STUDY}` LIKE '%'", totals, _bars()),
    }


def newest_view(run_id: str, lines: bool) -> dict[str, str]:
    """The view of the curves of one run, best first, by its tag. ``lines``: some curves have several sizes."""
    scores = [_column("metrics", name) for name in SCORES]
    below = f"{_of_kind('curve')} AND tags.`{PARENT}` = '{run_id}'"
    charts = _lines() if lines else _bars()
    by_score = {"orderByKey": _column("metrics", "macro_f1")}
    return {TAG + BEST: _view("Newest run: which LLM and mode is best", below, scores, charts, **by_score)}


def is_ours(view: str) -> bool:
    """Whether a view is unchanged since it was written here; false if a user has changed it."""
    try:
        content = json.loads(view)
        return bool(content[OURS] == _hash(content["state"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def _view(name: str, where: str, shown: Sequence[str], charts: Sequence[dict[str, Any]], **more: Any) -> str:
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
        "compareRunCharts": list(charts),
        "compareRunSections": [{"uuid": name, "name": name, "display": True, "isReordered": True} for name in SECTIONS],
        "isAccordionReordered": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        **more,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now, kept = int(time.time() * 1000), f"deflate;{packed}"
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": kept, OURS: _hash(kept)})


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def _of_kind(kind: str) -> str:
    return f"tags.`{KIND}` = '{kind}'"


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _bars() -> list[dict[str, Any]]:
    return [_chart(metric, "BAR") for metric in CHARTS]


def _lines() -> list[dict[str, Any]]:
    shape: dict[str, Any] = {"xAxisKey": "step", "xAxisScaleType": "log", "scaleType": "linear"}
    shape |= {"displayPoints": True, "lineSmoothness": 0, "useGlobalLineSmoothing": False}
    return [_chart(metric, "LINE", selectedMetricKeys=[metric], **shape) for metric in LINES]


def _chart(metric: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "uuid": f"synthgap-{metric}",
        "type": kind,
        "metricKey": metric,
        "displayName": metric,
        "metricSectionId": SECTIONS[0],
        "runsCountToCompare": 30,
        "deleted": False,
        "isGenerated": False,  # otherwise MLflow draws lines for a metric with steps
        **more,
    }
