"""How subjective tasks and texts are, and how scores depend on it (Li et al. 2023)."""

from dataclasses import dataclass
from typing import Literal

from tasks.records.arms import Arm, OfArm
from tasks.records.comparisons import Interval


@dataclass(frozen=True, slots=True)
class Rating:
    """What one rater says of one item."""

    item: str
    """``item_key`` of the text."""
    rater: str
    """Model and persona, or a person's id."""
    label: str
    """A label of the task."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One comparison of two tasks: which of them is the more objective one (Li et al. 2023, section 3)."""

    judge: str
    """Model and persona, or a person's id."""
    objective: str
    """Name of the task judged to be more objective."""
    subjective: str
    """Name of the other."""


@dataclass(frozen=True)
class TaskSubjectivity:
    """How subjective one task is, by its raters' agreement and by comparisons with the other tasks."""

    task: str
    """Name of the task."""
    source: Literal["raters", "annotators", ""]
    """Whose agreement it is: human raters of the data, the panel of LLM annotators, or nobody's."""
    items: int = 0
    """Test rows with an agreement."""
    raters: float | None = None
    """Mean raters per item; null where the data does not say."""
    mean_agreement: Interval | None = None
    """Mean over items of a_i, the share of raters who chose the most frequent label."""
    krippendorff_alpha: float | None = None
    """Agreement of raters beyond chance: 1 is full agreement, 0 what chance gives; null where it cannot be computed."""
    fleiss_kappa: float | None = None
    """The same by Fleiss, for items with equally many raters."""
    strength: Interval | None = None
    """Bradley-Terry log-strength of being the more subjective of two tasks, mean 0 over the study's tasks."""
    rank: int | None = None
    """1 is the most objective task of the study, by ``strength``, else by ``mean_agreement``."""
    comparisons: int = 0
    """Judgements that the task took part in."""
    note: str = ""
    """Why something above is missing, for people."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Scores on the test rows whose agreement is at least ``gamma``."""

    gamma: float
    """Least agreement of the test rows, 0 to 1."""
    items: int
    """Test rows."""
    accuracy: Interval
    """0 to 1, over seeds."""


@dataclass(frozen=True)
class Curve(OfArm):
    """Accuracy of an arm over agreement thresholds (Li et al. 2023, section 5)."""

    arm: Arm
    """What was trained and tested."""
    points: tuple[CurvePoint, ...]
    """By rising threshold; empty where ``note`` says why."""
    slope: Interval | None = None
    """Accuracy gained over the curve's range of gamma: the last point's minus the first's."""
    steeper: Interval | None = None
    """``slope`` minus that of matched real rows; null for real rows themselves."""
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
    """How the gap of an arm goes with the subjectivity of tasks. Negative: subjective tasks lose more."""

    arm: Arm
    """``Arm.across_tasks`` of the tasks' arms."""
    measure: Literal["strength", "disagreement"]
    """Bradley-Terry strength, or 1 - mean agreement."""
    tasks: int
    """How many tasks it is over."""
    spearman: Association | None = None
    """Spearman's rank correlation."""
    kendall: Association | None = None
    """Kendall's tau."""
    note: str = ""
    """Why there is none: fewer than 3 tasks, ..."""


@dataclass(frozen=True)
class Finding:
    """One finding of the study by Li et al. 2023, tested on this study's own numbers."""

    name: str
    """Id of the finding."""
    claim: str
    """In plain words."""
    verdict: Literal["confirmed", "refuted", "undecided"]
    """Whether the numbers of this study show it."""
    evidence: str
    """The numbers that decide it, in one or two sentences."""
