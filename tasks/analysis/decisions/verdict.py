"""Whether the rows of a comparison are good enough, and the reason in one sentence. Nothing else decides this."""

import math
from dataclasses import dataclass

from tasks.analysis.statistics.power import MOST_ROWS, MOST_SEEDS
from tasks.modes import MATCHED_REAL, REFERENCE, mode_facts
from tasks.phrases import bare_points, count, points
from tasks.records import Arm, Comparison, Gap, GoodEnough

FEWEST_ROWS = 20
"""Fewest test rows for an interval."""


@dataclass(frozen=True)
class Facts:
    """What a verdict needs in addition to the fields of the comparison."""

    trials: int
    failed: int
    error: str = ""
    """Error of the first failed trial; empty if none failed."""
    rows: int = 0
    """Test rows."""
    paired_rows: int | None = None
    """Test rows that both sides of the gap have; null if there are no real trials to compare with."""
    all_rows: int = 0
    """Test rows of the real trials."""
    real_trials: int = 0
    """Number of real trials that the comparison has."""
    real_rows: int | None = None
    """Training rows of the real trials, if the mode is meant to have another number of rows; otherwise null."""
    single: tuple[str, ...] = ()
    """Labels with only one test row."""


def good_enough(gap: Gap | None, tolerance: float) -> GoodEnough:
    """Whether the gap's interval is all within ``tolerance`` (``yes``), all beyond it (``no``), or neither.

    ``none`` without a gap.
    """
    if gap is None:
        return "none"
    if gap.low >= -tolerance:
        return "yes"
    return "no" if gap.high < -tolerance else "undecided"


def verdict(comparison: Comparison, facts: Facts, tolerance: float) -> str:
    """The reason for ``comparison.good_enough`` in one sentence; semicolons separate its parts."""
    if comparison.macro_f1 is None:
        return f"no result: {count(facts.failed, 'trial')} failed: {facts.error}"
    gap = comparison.gap
    reason = _reason(gap, comparison, facts, tolerance) if gap else _no_gap(comparison.arm, facts)
    return "; ".join([reason, *_weaknesses(comparison, facts)])


def _weaknesses(comparison: Comparison, facts: Facts) -> list[str]:
    notes = []
    if facts.real_rows is not None:
        notes.append(f"with {count(comparison.n_train or 0, 'row')} against {facts.real_rows:,}")
    if comparison.gap and facts.paired_rows is not None and facts.paired_rows < facts.all_rows:
        notes.append(f"on the {facts.paired_rows:,} of {facts.all_rows:,} test rows that both have")
    if facts.rows < FEWEST_ROWS:
        notes.append(f"{count(facts.rows, 'test row')}: too few for an interval, {FEWEST_ROWS} are needed")
    if facts.single:
        names = ", ".join(map(repr, facts.single))
        notes.append(f"one test row only of {names}: the interval does not cover differences between its rows")
    if len(comparison.seeds) == 1 and comparison.arm.trained:
        notes.append("one seed: the interval does not cover differences between trainings")
    elif comparison.gap and not comparison.arm.trained and facts.real_trials == 1:
        notes.append("one seed of the real rows: the interval does not cover differences between trainings")
    if facts.failed:
        notes.append(f"{facts.failed} of {count(facts.trials, 'trial')} failed: {facts.error}")
    return notes


def _no_gap(arm: Arm, facts: Facts) -> str:
    if arm.mode == MATCHED_REAL:
        return "real labels: the other rows are compared with them"
    if arm.mode == REFERENCE:
        return "real labels: a reference of its own size"
    if facts.paired_rows is not None:
        return f"no gap: {count(facts.paired_rows, 'test row')} that both have, {FEWEST_ROWS} are needed"
    if not arm.trained:
        return "no gap: no finished trial on real labels"
    if mode_facts(arm.mode).compared_to == "the study's real rows":
        return "no gap: no finished trial on real labels with the same seed"
    return "no gap: no finished trial on real labels with as many rows per label and the same seed"


def _reason(gap: Gap, comparison: Comparison, facts: Facts, tolerance: float) -> str:
    if comparison.good_enough == "yes" and gap.low > 0:
        return f"better than real labels by {points(gap.mean)} ({bare_points(gap.low)} to {bare_points(gap.high)})"
    if comparison.good_enough == "yes":
        return f"as good as real labels within {points(tolerance)}"
    if comparison.good_enough == "no":
        advice = ": buy labels" if comparison.arm.trained else ""
        return f"loses {points(-gap.mean)} ({bare_points(-gap.high)} to {bare_points(-gap.low)}){advice}"
    possible = f"a loss of {bare_points(-gap.high)} to {points(-gap.low)}"
    if gap.high >= 0:
        possible = f"between a loss of {points(-gap.low)} and a gain of {bare_points(gap.high)}"
    return f"undecided: {possible}; {_deciding(gap, facts)}"


def _deciding(gap: Gap, facts: Facts) -> str:
    """How many seeds or test rows would decide, estimated from the variance between seeds."""
    if facts.real_trials < 2:
        return "with more seeds, a run can estimate what would decide"
    seeds, rows = gap.seeds_needed, gap.test_rows_needed
    if (seeds and seeds <= facts.real_trials) or (rows and rows <= (facts.paired_rows or 0)):
        return "seeds and test rows are enough, but the gap is very close to the tolerance"
    enough = [f"about {seeds:,} seeds"] if seeds else []
    enough += [f"about {_rounded(rows):,} test rows"] if rows else []
    if not enough:
        return f"neither {MOST_SEEDS} seeds nor {MOST_ROWS:,} test rows alone would decide"
    return " or ".join(enough) + " would decide"


def _rounded(rows: int) -> int:
    """Rounded up to two digits, because it is an estimate from few seeds."""
    unit: int = 10 ** max(0, len(str(rows)) - 2)
    return math.ceil(rows / unit) * unit
