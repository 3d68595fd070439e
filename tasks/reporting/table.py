"""A results object's comparisons as rows of plain values: Prefect's table artifact, and who reads it by its API.

Intervals come last: a page narrower than the table cuts them off, and never the answer.
"""

from collections.abc import Mapping
from typing import Any

from tasks.records import short
from tasks.reporting.modes import BASELINES, judged, llm, outcome, rows_of, varying
from tasks.reporting.sections import in_order

WORDS = {"yes": "yes", "no": "no", "undecided": "undecided", "none": None}


def table(results: Mapping[str, Any]) -> list[dict[str, str | float | None]]:
    """One row a comparison, in the order of the report. Scores are macro-F1 from 0 to 1, gaps are points of it.

    What is not known is null: the gap of real rows, of a comparison without finished trials, and their intervals.
    """
    return [_row(results, row) for row in in_order(results, results["comparisons"])]


def _row(results: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, str | float | None]:
    score, gap = row["macro_f1"] or {}, row["gap"] or {}
    state = outcome(row, results["config"]["tolerance"]) if judged(row) else "none"
    writer, classifier = llm(row), None if row["mode"] in BASELINES else short(row["classifier"])
    return {
        "task": row["task"],
        "training rows": rows_of(row, results),
        "LLM": writer and short(writer),
        **({"classifier": classifier} if "classifier" in varying(results["comparisons"]) else {}),
        "macro-F1": _rounded(score.get("mean"), 3),
        "gap": _rounded(gap.get("mean"), 1, 100),
        "good enough?": WORDS[state],
        "F1 from": _rounded(score.get("low"), 3),
        "F1 to": _rounded(score.get("high"), 3),
        "gap from": _rounded(gap.get("low"), 1, 100),
        "gap to": _rounded(gap.get("high"), 1, 100),
    }


def _rounded(value: float | None, digits: int, scale: int = 1) -> float | None:
    return None if value is None else round(scale * value, digits)
