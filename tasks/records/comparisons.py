"""Conclusions from trials: intervals, gaps to real rows, verdicts, and comparisons with the best LLM so far."""

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
    """The p-value after Holm's correction over all comparisons of the study."""
    effect: float | None = None
    """Effect size: the mean gap divided by the standard deviation over seeds (Cohen's d of paired samples); null for
    one seed or seeds that do not differ."""
    seeds_needed: int | None = None
    """Seeds that would show a true loss of the study's tolerance, at power .8 and level .05, on the same test rows;
    null if 200 seeds are not enough, because too much of the variance comes from the test rows, and with one seed,
    which shows no variance between seeds."""
    test_rows_needed: int | None = None
    """Test rows that would show such a loss with the study's seeds; null if 100,000 rows are not enough, because too
    much of the variance comes from the seeds, and with one seed."""


@dataclass(frozen=True)
class Comparison(OfArm):
    """An arm with all of its seeds, compared with real rows, usually with the same number of them."""

    arm: Arm
    """What was trained and tested."""
    seeds: tuple[int, ...]
    """Seeds whose trials finished."""
    macro_f1: Interval | None
    """Null when no trial finished."""
    accuracy: Interval | None
    """Null when no trial finished."""
    gap: Gap | None
    """Null for the real rows themselves, if either side has no finished trial, and with fewer than 20 test rows."""
    good_enough: GoodEnough
    """Whether the loss is within the study's tolerance: ``yes`` if the whole interval of the gap is, ``no`` if no part
    of it is, otherwise ``undecided``; ``none`` without a gap."""
    verdict: str
    """The reason in one sentence."""
    n_train: int | None = None
    """Training rows of a trial, averaged over seeds."""
    against: str = ""
    """The real rows of the gap in a few words; empty without a gap."""
    cost_usd_per_1000: float | None = None
    """Dollars for 1,000 predictions of an LLM that classifies; null for trained classifiers and unknown prices."""
    latency_s: float | None = None
    """Seconds from question to answer of such an LLM, averaged over trials; null for trained classifiers."""


@dataclass(frozen=True)
class Challenge:
    """Comparison of an LLM with the champion, which is the best LLM so far for the same task and mode."""

    task: str
    """Name of the task."""
    mode: str
    """Mode of the challenger; empty if all modes of the task are compared together."""
    classifier: str
    """The classifier that both were trained with."""
    challenger: str
    """The LLM that wrote its training rows, with the mode if all modes are compared together."""
    champion: str | None
    """The same for the champion until now; null if there was none."""
    outcome: Outcome
    """``first`` if there was no champion; ``better`` and ``worse`` only if the interval of the gap excludes 0."""
    gap: Gap | None = None
    """Macro-F1 of the challenger minus that of the champion, paired by seed and test row; null if that is
    impossible."""
    note: str = ""
    """Why it is impossible."""
    retired: tuple[str, ...] = ()
    """Challenger or champion, if its LLM is no longer served."""
