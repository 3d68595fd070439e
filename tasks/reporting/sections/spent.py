"""Money and time of the study, and the planned values."""

from dataclasses import asdict

from tasks.phrases import listed
from tasks.reporting.results import Results, Totals
from tasks.reporting.section import Section


def spent(results: Results) -> str:
    """Comparison with the plan, and the part of the cost that is an upper bound."""
    return " ".join(filter(None, [_planned(results), _estimated(results.totals)]))


def _estimated(totals: Totals) -> str:
    if not totals.booked_estimated_usd:
        return ""
    return (
        f"The budget counts ${totals.booked_usd:.4f} as spent. Of that ${totals.booked_estimated_usd:.4f} is an "
        "upper bound: some answers were lost on their way, or did not say how many tokens they took."
    )


def _planned(results: Results) -> str:
    """Empty if trials came from the store, because the plan does not count them.

    The minutes of both are sums, as if nothing ran at the same time.
    """
    planned, totals = results.estimate, results.totals
    if planned is None or totals.cells_stored:
        return ""
    pairs = [("calls", totals.calls, planned.calls), ("minutes", totals.seconds / 60, planned.minutes)]
    parts = [f"{took / plan:.1f} times the {name}" for name, took, plan in pairs if took and plan]
    return f"Against the plan, the whole study took {listed(parts)}." if parts else ""


SECTION = Section(
    name="spent",
    title="Cost and time",
    variables=lambda results: {"spent": spent(results)},
    metrics=lambda results: asdict(results.totals),
)
