"""What would decide an undecided comparison."""

from collections.abc import Callable
from typing import Any

from tasks.reporting.sections import comparisons
from tests.reporting.conftest import with_gaps

Make = Callable[..., Any]


def test_an_undecided_comparison_says_what_would_decide_it(study: Make) -> None:
    results = with_gaps(study(tasks=1), -0.05, 0.01)
    row = next(row for row in results.comparisons if row.mode == "few_shot")
    assert comparisons.power(row, results) == "about 12 seeds would decide"  # 500 test rows are fewer than there were
    decided = with_gaps(study(tasks=1), -0.3, -0.1)
    row = next(row for row in decided.comparisons if row.mode == "few_shot")
    assert comparisons.power(row, decided) == ""
