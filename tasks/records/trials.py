"""Cells of the grid: the job of each, and the trial that is its outcome."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.config import ClassifierConfig, TaskConfig
from tasks.records.arms import Arm, OfArm
from tasks.records.names import readable
from tasks.records.syntheses import Status


@dataclass(frozen=True)
class CellJob:
    """The job of a cell: train or classify, and test."""

    arm: Arm
    task: TaskConfig
    seed: int
    test_rows: int | None
    """Test rows of the study; null for all."""

    @property
    def cell(self) -> str:
        """Readable name of the cell."""
        return cell_name(self.arm, self.seed)

    def ended(self, key: str, label_counts: Mapping[str, int], n_test: int, **outcome: Any) -> "Trial":
        """The trial of the cell; ``outcome`` are further fields of ``Trial``."""
        status: Status = "ok" if outcome.get("error") is None else "failed"
        return Trial(key, self.arm, self.seed, status, sum(label_counts.values()), n_test, label_counts, **outcome)

    def failed(self, error: str) -> "Trial":
        """The trial of a cell that could not be run."""
        return self.ended("", dict(self.arm.rows), 0, error=error)


@dataclass(frozen=True)
class TrialJob(CellJob):
    """One training and its test. The trial reads its rows from the store by their keys."""

    classifier: ClassifierConfig
    data_key: str
    """Key of the real rows in the store (``data/<key>``)."""
    synthesis_key: str | None
    """Null if all training rows are real."""
    draw: int
    """Seed for the choice of real rows."""
    label_counts: Mapping[str, int]
    """Training rows by label: fewer than the arm asks for if its synthesis has too few."""

    def failed(self, error: str) -> "Trial":
        """The trial of a cell that could not be run."""
        return self.ended("", self.label_counts, 0, error=error)


@dataclass(frozen=True)
class Trial(OfArm):
    """The outcome of one cell. Its predictions are in the store under ``trials/<key>``."""

    key: str
    """Key of the trial in the store; empty if it failed before it had one."""
    arm: Arm
    """What was trained and tested."""
    seed: int
    """Seed of the replicate."""
    status: Status
    """``failed`` if there is no score; ``error`` is the reason."""
    n_train: int
    """Training rows."""
    n_test: int
    """Test rows."""
    label_counts: Mapping[str, int]
    """Training rows by label; without training, the real rows whose labels were counted or shown to the LLM."""
    macro_f1: float | None = None
    """0 to 1; null without a score."""
    accuracy: float | None = None
    """0 to 1; null without a score."""
    per_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Precision, recall, f1 and support by label."""
    seconds: float = 0.0
    """Wall time of training and test in the run that made the trial."""
    cached: bool = False
    """Whether it was found in the store, so that nothing was trained in this run."""
    error: str | None = None
    """Why it failed."""
    run_id: str | None = None
    """Id of the MLflow run: a fine-tuned trial has its own, others have that of their curve."""
    cost_usd: float | None = None
    """Dollars that an LLM took to classify the test rows; null for trained classifiers and unknown prices."""
    latency_s: float | None = None
    """Seconds from question to answer of such an LLM, averaged over test rows; null for trained classifiers."""

    @property
    def outcome(self) -> str:
        """The score, or why there is none, as text."""
        return self.error or "failed" if self.macro_f1 is None else f"macro-F1 {self.macro_f1:.3f}"

    @property
    def cell(self) -> str:
        """Readable name of the cell."""
        return cell_name(self.arm, self.seed)


def cell_name(arm: Arm, seed: int) -> str:
    """Readable name of an arm's cell."""
    return readable(arm.label, f"seed {seed}")


def by_arm(trials: Iterable[Trial]) -> dict[Arm, list[Trial]]:
    """Trials by arm, in the order of their first trials, and by seed. Of two trials of one cell the first counts."""
    found: dict[Arm, dict[int, Trial]] = {}
    for trial in trials:
        found.setdefault(trial.arm, {}).setdefault(trial.seed, trial)
    return {arm: [by_seed[seed] for seed in sorted(by_seed)] for arm, by_seed in found.items()}
