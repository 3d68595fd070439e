"""The frozen records that several rooms use, one file for each subject.

Stages pass only these records and content keys to each other. Texts stay in the store, so that nothing large or secret
gets into Prefect's database.
"""

from tasks.records.arms import ID_LENGTH, Arm, ComparedTo, Configured, ModeFacts, OfArm, RowKind, Rows, configured
from tasks.records.comparisons import Challenge, Comparison, Gap, GoodEnough, Interval, Outcome
from tasks.records.costs import Spent, known_sum
from tasks.records.data import Example, Row, TaskData, TaskSummary, count_labels
from tasks.records.names import canonical, canonical_list, content_key, key_of_parts, readable, short
from tasks.records.subjectivity import (
    Association,
    Correlation,
    Curve,
    CurvePoint,
    Finding,
    Judgement,
    Rating,
    TaskSubjectivity,
)
from tasks.records.syntheses import FilterCounts, Status, Synthesis, SynthesisJob
from tasks.records.trials import CellJob, Trial, TrialJob, by_arm, cell_name

__all__ = [
    "ID_LENGTH",
    "Arm",
    "Association",
    "CellJob",
    "Challenge",
    "ComparedTo",
    "Comparison",
    "Configured",
    "Correlation",
    "Curve",
    "CurvePoint",
    "Example",
    "FilterCounts",
    "Finding",
    "Gap",
    "GoodEnough",
    "Interval",
    "Judgement",
    "ModeFacts",
    "OfArm",
    "Outcome",
    "Rating",
    "Row",
    "RowKind",
    "Rows",
    "Spent",
    "Status",
    "Synthesis",
    "SynthesisJob",
    "TaskData",
    "TaskSubjectivity",
    "TaskSummary",
    "Trial",
    "TrialJob",
    "by_arm",
    "canonical",
    "canonical_list",
    "cell_name",
    "configured",
    "content_key",
    "count_labels",
    "key_of_parts",
    "known_sum",
    "readable",
    "short",
]
