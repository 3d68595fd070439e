"""Cost and time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tasks.reporting.sections import spent

Make = Callable[..., Any]


def test_the_plan_is_held_against_what_it_took(results: Make) -> None:
    found = results()
    totals = replace(found.totals, calls=840, seconds=5.2 * 60)
    assert spent.spent(found.model_copy(update={"totals": totals})) == (
        "Against the plan, the whole study took 2.0 times the calls and 1.0 times the minutes."
    )
    assert spent.spent(found.model_copy(update={"totals": replace(totals, cells_stored=3)})) == ""
    assert spent.spent(found.model_copy(update={"estimate": None})) == ""
