"""Comparisons as rows of plain values, for Prefect's table artifact and for readers of its API.

Intervals are the last columns, because a narrow page cuts off the columns at the right.
"""

from tasks.records import Comparison, short
from tasks.reporting.grouping import in_order
from tasks.reporting.modes import answer, llm, rows_of, trained, varying
from tasks.reporting.results import Results


def table(results: Results) -> list[dict[str, str | float | None]]:
    """One row for each comparison, in the order of the report. Scores are macro-F1 (0 to 1), gaps are points of it.

    Unknown values are null, such as the gap of real rows or of a comparison without finished trials.
    """
    return [_row(results, row) for row in in_order(results, results.comparisons)]


def _row(results: Results, row: Comparison) -> dict[str, str | float | None]:
    score, gap, model, classifier = row.macro_f1, row.gap, llm(row), trained(row)
    state = answer(row)
    return {
        "task": row.task,
        "training rows": rows_of(row, results),
        "LLM": model and short(model),
        **({"classifier": classifier and short(classifier)} if "classifier" in varying(results.comparisons) else {}),
        "macro-F1": round(score.mean, 3) if score else None,
        "gap": round(100 * gap.mean, 1) if gap else None,
        "good enough?": None if state == "none" else state,
        "F1 from": round(score.low, 3) if score else None,
        "F1 to": round(score.high, 3) if score else None,
        "gap from": round(100 * gap.low, 1) if gap else None,
        "gap to": round(100 * gap.high, 1) if gap else None,
    }
