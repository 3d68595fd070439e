"""The comparisons as rows for Prefect's table: the same numbers as in the results, unknown as null."""

import json
import math

from tasks.reporting.table import table
from tests.reporting.conftest import build


def test_a_row_for_each_comparison_with_its_numbers(study) -> None:
    results = build(**study(generators=("a/one", "b/two"), untrained=("majority",)))
    rows = table(results)
    assert len(rows) == len(results.comparisons)
    known = {(row.task, row.mode, row.source): row for row in results.comparisons}
    [row] = [row for row in rows if (row["task"], row["training rows"], row["LLM"]) == ("sms_spam", "few-shot", "two")]
    source = known["sms_spam", "few_shot", "b/two"]
    assert row["macro-F1"] == round(source.macro_f1.mean, 3)
    assert row["gap"] == round(100 * source.gap.mean, 1)
    assert row["gap from"] <= row["gap"] <= row["gap to"]
    assert row["good enough?"] in {"yes", "no", "undecided"}


def test_what_is_not_known_is_null_and_never_nan(study) -> None:
    rows = table(build(**study(fail=True)))
    assert any(row["macro-F1"] is None and row["good enough?"] is None for row in rows)
    json.dumps(rows, allow_nan=False)
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())
