"""Whether a comparison's rows are good enough, decided once, and why in plain words."""

import math
from dataclasses import dataclass

from tasks.analysis.statistics.power import MOST_ROWS, MOST_SEEDS
from tasks.modes import MATCHED_REAL, REFERENCE, mode_facts
from tasks.records import Arm, Comparison, Gap, GoodEnough

FEWEST_ROWS = 20
"""Fewest test rows for a meaningful interval."""


@dataclass(frozen=True)
class Facts:
    """What a verdict needs in addition to the comparison's own fields."""

    trials: int
    failed: int
    error: str = ""
    """Error of the first failed trial."""
    rows: int = 0
    """Test rows."""
    paired_rows: int | None = None
    """Test rows that both sides of the gap share; null if there are no real trials to compare with."""
    all_rows: int = 0
    """Test rows of the real trials."""
    real_trials: int = 0
    """Real trials that the gap is measured to."""
    real_rows: int | None = None
    """Training rows of the real trials, if their number differs on purpose."""
    single: tuple[str, ...] = ()
    """Labels that have only one test row."""


def good_enough(gap: Gap | None, tolerance: float) -> GoodEnough:
    """Whether a loss of at most ``tolerance`` is shown: the gap's whole interval within it, beyond it, or neither."""
    if gap is None:
        return "none"
    if gap.low >= -tolerance:
        return "yes"
    return "no" if gap.high < -tolerance else "undecided"


def verdict(comparison: Comparison, facts: Facts, tolerance: float) -> str:
    """The reason of ``comparison.good_enough`` in one sentence; semicolons separate its parts."""
    if comparison.macro_f1 is None:
        return f"no result: {count(facts.failed, 'trial')} failed: {facts.error}"
    gap = comparison.gap
    said = _reason(gap, comparison, facts, tolerance) if gap else _no_gap(comparison.arm, facts)
    return "; ".join([said, *_weaknesses(comparison, facts)])


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
        notes.append(f"one test row only of {names}: the interval leaves out how its rows differ")
    if len(comparison.seeds) == 1 and comparison.arm.trained:
        notes.append("one seed: the interval leaves out how trainings differ")
    elif comparison.gap and not comparison.arm.trained and facts.real_trials == 1:
        notes.append("one seed of the real rows: the interval leaves out how trainings differ")
    if facts.failed:
        notes.append(f"{facts.failed} of {count(facts.trials, 'trial')} failed: {facts.error}")
    return notes


def _no_gap(arm: Arm, facts: Facts) -> str:
    if arm.mode == MATCHED_REAL:
        return "real labels: what others are compared to"
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
        return f"better than real labels by {_points(gap.mean)} ({_number(gap.low)} to {_number(gap.high)})"
    if comparison.good_enough == "yes":
        return f"as good as real labels within {_points(tolerance)}"
    if comparison.good_enough == "no":
        advice = ": buy labels" if comparison.arm.trained else ""
        return f"loses {_points(-gap.mean)} ({_number(-gap.high)} to {_number(-gap.low)}){advice}"
    could = f"lose {_number(-gap.high)} to {_points(-gap.low)}"
    if gap.high >= 0:
        could = f"lose {_points(-gap.low)} or win {_number(gap.high)}"
    return f"undecided: could {could}; {_deciding(gap, facts)}"


def _deciding(gap: Gap, facts: Facts) -> str:
    """What would show a loss of the tolerance, estimated from the seeds."""
    if facts.real_trials < 2:
        return "more seeds would tell what it takes to decide"
    seeds, rows = gap.seeds_needed, gap.test_rows_needed
    if (seeds and seeds <= facts.real_trials) or (rows and rows <= (facts.paired_rows or 0)):
        return "there are enough seeds and test rows, the gap is just close to the tolerance"
    enough = [f"about {seeds:,} seeds"] if seeds else []
    enough += [f"about {_rounded(rows):,} test rows"] if rows else []
    if not enough:
        return f"neither {MOST_SEEDS} seeds nor {MOST_ROWS:,} test rows alone would decide"
    return " or ".join(enough) + " would decide"


def _rounded(rows: int) -> int:
    """Rounded up to two digits, because it is an estimate from few seeds."""
    unit: int = 10 ** max(0, len(str(rows)) - 2)
    return math.ceil(rows / unit) * unit


def count(n: int, noun: str) -> str:
    """A number and its noun."""
    return f"{n} {noun}" if n == 1 else f"{n:,} {noun}s"


def _number(score: float) -> str:
    """A difference of scores in points, without needless decimals."""
    points = 100 * score
    return f"{points:.0f}" if abs(points) >= 9.95 else f"{points:.1f}".removesuffix(".0")


def _points(score: float) -> str:
    number = _number(score)
    return f"{number} point" if number == "1" else f"{number} points"
