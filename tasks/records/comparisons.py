"""What is concluded from trials: intervals, gaps to real rows, verdicts, and how a new LLM does."""

from dataclasses import dataclass
from typing import Literal

from tasks.records.arms import Arm, OfArm

Outcome = Literal["first", "better", "worse", "undecided"]
GoodEnough = Literal["yes", "no", "undecided", "none"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with its 95% interval."""

    mean: float
    """The estimate."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Macro-F1 of a mode minus that of matched real rows (negative is a loss), paired by seed and test row."""

    mean: float
    """The estimate."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end of the 95% interval."""
    p: float
    """Two-sided permutation p-value."""
    p_corrected: float
    """The same after Holm's correction over all comparisons of the study."""
    effect: float | None = None
    """Effect size: the mean gap over the standard deviation of its seeds (Cohen's d of paired samples); null for one
    seed or seeds that do not differ."""
    seeds_needed: int | None = None
    """Seeds that would show a true loss of the study's tolerance, at power .8 and level .05, on the same test rows;
    null where 200 would not, because the test rows' share of the variance is too large, and with one seed, which shows
    no variance of seeds."""
    test_rows_needed: int | None = None
    """Test rows that would show it with the study's seeds; null where 100,000 would not, because the seeds' share is
    too large, and with one seed."""


@dataclass(frozen=True)
class Comparison(OfArm):
    """All seeds of an arm against real rows, as a rule as many."""

    arm: Arm
    """What was trained and tested."""
    seeds: tuple[int, ...]
    """Seeds whose trials finished."""
    macro_f1: Interval | None
    """Null when no trial finished."""
    accuracy: Interval | None
    """Null when no trial finished."""
    gap: Gap | None
    """Null for the real rows themselves, where either side has no finished trial, and on fewer than 20 test rows."""
    good_enough: GoodEnough
    """Whether the loss is within the study's tolerance: ``yes`` where the gap's whole interval is, ``no`` where none of
    it is, else ``undecided``; ``none`` without a gap."""
    verdict: str
    """The same in words, with the reason."""
    n_train: int | None = None
    """Training rows of a trial, the mean over seeds."""
    against: str = ""
    """The real rows of the gap in plain words; empty without a gap."""
    cost_usd_per_1000: float | None = None
    """Dollars for 1,000 predictions of an LLM that classifies; null for trained classifiers and unknown prices."""
    latency_s: float | None = None
    """Its seconds from question to answer, the mean over trials; null for trained classifiers."""


@dataclass(frozen=True)
class Challenge:
    """One LLM's rows against those of the champion, the best so far, of the same task and mode."""

    task: str
    """Name of the task."""
    mode: str
    """The challenger's; empty where all modes of the task compete."""
    classifier: str
    """The classifier that both were trained with."""
    challenger: str
    """What wrote its training rows: the LLM and, where all modes compete, the mode."""
    champion: str | None
    """The same of the champion until now; null when there was none."""
    outcome: Outcome
    """``first`` where there was no champion; ``better`` and ``worse`` only beyond chance."""
    gap: Gap | None = None
    """Macro-F1 of the challenger minus the champion's, paired by seed and test row; null where that cannot be done."""
    note: str = ""
    """Why not."""
    retired: tuple[str, ...] = ()
    """Those of the two whose LLM is not served any more."""
