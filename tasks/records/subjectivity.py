"""How subjective tasks and texts are, and how scores depend on it (Li et al. 2023)."""

from dataclasses import dataclass
from typing import Literal

from tasks.records.arms import Arm, OfArm
from tasks.records.comparisons import Interval


@dataclass(frozen=True, slots=True)
class Rating:
    """One rater's vote on one item."""

    item: str
    """``item_key`` of the text."""
    rater: str
    """Model and persona, or a person's id."""
    label: str
    """A label of the task."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One comparison of two tasks: which one is more objective (Li et al. 2023, section 3)."""

    judge: str
    """Model and persona, or a person's id."""
    objective: str
    """Name of the more objective task."""
    subjective: str
    """Name of the more subjective task."""


@dataclass(frozen=True)
class TaskSubjectivity:
    """How subjective one task is: by the agreement of its raters and by comparisons with other tasks."""

    task: str
    """Name of the task."""
    source: Literal["raters", "annotators", ""]
    """Who rated the rows: human raters of the data, the panel of LLM annotators, or nobody (empty)."""
    items: int = 0
    """Test rows with an agreement."""
    raters: float | None = None
    """Mean number of raters for an item; null if the data does not state it."""
    mean_agreement: Interval | None = None
    """Mean over items of a_i, the share of raters who chose the most frequent label."""
    krippendorff_alpha: float | None = None
    """Agreement of raters beyond chance: 1 is full agreement, 0 is the agreement by chance; null if it is undefined."""
    fleiss_kappa: float | None = None
    """Fleiss' kappa, over the items with the same number of raters."""
    strength: Interval | None = None
    """Subjectivity from comparisons of two tasks: Bradley-Terry strength on the logit scale, mean 0 over the study's
    tasks."""
    rank: int | None = None
    """Rank by ``strength``, or by ``mean_agreement`` if no task has a strength; 1 is the most objective task."""
    comparisons: int = 0
    """Number of judgements on the task."""
    note: str = ""
    """Why something above is missing."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Scores on the test rows whose agreement is at least ``gamma``."""

    gamma: float
    """Lowest agreement of the test rows, 0 to 1."""
    items: int
    """Test rows."""
    accuracy: Interval
    """Accuracy on these rows, 0 to 1, averaged over seeds."""


@dataclass(frozen=True)
class Curve(OfArm):
    """Accuracy of an arm at rising thresholds of agreement (Li et al. 2023, section 5)."""

    arm: Arm
    """What was trained and tested."""
    points: tuple[CurvePoint, ...]
    """Points in the order of the threshold; empty if the curve cannot be computed, see ``note``."""
    slope: Interval | None = None
    """Accuracy at the last point minus accuracy at the first point."""
    steeper: Interval | None = None
    """``slope`` minus the slope of matched real rows; null for the real rows themselves."""
    note: str = ""
    """Why something above is missing."""


@dataclass(frozen=True, slots=True)
class Association:
    """A rank correlation with its 95% interval over tasks and its p-value."""

    value: float
    """The correlation, -1 to 1."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end of the 95% interval."""
    p: float
    """Two-sided p-value."""


@dataclass(frozen=True)
class Correlation(OfArm):
    """Correlation between an arm's gap and the subjectivity of tasks. Negative: subjective tasks lose more."""

    arm: Arm
    """The arm without a task (``Arm.across_tasks``)."""
    measure: Literal["strength", "disagreement"]
    """Bradley-Terry strength, or 1 - mean agreement."""
    tasks: int
    """Number of tasks."""
    spearman: Association | None = None
    """Spearman's rank correlation."""
    kendall: Association | None = None
    """Kendall's tau."""
    note: str = ""
    """Why there is no correlation, such as fewer than 3 tasks, or which tasks are left out."""


@dataclass(frozen=True)
class Finding:
    """One finding of Li et al. 2023, tested with the numbers of this study."""

    name: str
    """Id of the finding."""
    claim: str
    """The finding as a sentence."""
    verdict: Literal["confirmed", "refuted", "undecided"]
    """Whether the numbers of this study show it."""
    evidence: str
    """The numbers that decide it, in one or two sentences."""
