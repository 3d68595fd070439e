"""Cells of the grid: what each is asked to do, and the trial that it came to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.config import ClassifierConfig, TaskConfig
from tasks.records.arms import Arm, OfArm
from tasks.records.names import readable
from tasks.records.syntheses import Status


@dataclass(frozen=True)
class CellJob:
    """What all cells of a study's grid are asked to do: train or classify, and test."""

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
        """The trial that the cell came to; ``outcome`` are further fields of ``Trial``."""
        status: Status = "ok" if outcome.get("error") is None else "failed"
        return Trial(key, self.arm, self.seed, status, sum(label_counts.values()), n_test, label_counts, **outcome)

    def failed(self, error: str) -> "Trial":
        """The trial of a cell that could not be run."""
        return self.ended("", dict(self.arm.rows), 0, error=error)


@dataclass(frozen=True)
class TrialJob(CellJob):
    """One training and its test. Rows are read from the store by key inside the trial."""

    classifier: ClassifierConfig
    data_key: str
    """Key of the real rows in the store (``data/<key>``)."""
    synthesis_key: str | None
    """Null where all training rows are real."""
    draw: int
    """Seed of the choice of real rows."""
    label_counts: Mapping[str, int]
    """Training rows by label: fewer than the arm asks for where its synthesis fell short."""

    def failed(self, error: str) -> "Trial":
        """The trial of a cell that could not be run."""
        return self.ended("", self.label_counts, 0, error=error)


@dataclass(frozen=True)
class Trial(OfArm):
    """The outcome of one cell. Its predictions are in the store under ``trials/<key>``."""

    key: str
    """Of the trial in the store; empty where it failed before it had one."""
    arm: Arm
    """What is trained and tested."""
    seed: int
    """Of the replicate."""
    status: Status
    """``failed`` where ``error`` says why there is no score."""
    n_train: int
    """Training rows."""
    n_test: int
    """Test rows."""
    label_counts: Mapping[str, int]
    """Training rows, or those that an LLM or a count saw, by label."""
    macro_f1: float | None = None
    """0 to 1; null without a score."""
    accuracy: float | None = None
    """0 to 1; null without a score."""
    per_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Label to precision, recall, f1 and support."""
    seconds: float = 0.0
    """Wall time of training and test, of the run that made the trial."""
    cached: bool = False
    """Found in the store, nothing was trained in this run."""
    error: str | None = None
    """Why it failed."""
    run_id: str | None = None
    """MLflow run: its own where it was fine-tuned, else that of its curve."""
    cost_usd: float | None = None
    """What an LLM that classifies took for the test rows; null for trained classifiers and unknown prices."""
    latency_s: float | None = None
    """Its seconds from question to answer, the mean over test rows; null for trained classifiers."""

    @property
    def outcome(self) -> str:
        """The score, or why there is none, for people."""
        return self.error or "failed" if self.macro_f1 is None else f"macro-F1 {self.macro_f1:.3f}"

    @property
    def cell(self) -> str:
        """Readable name of the cell."""
        return cell_name(self.arm, self.seed)


def cell_name(arm: Arm, seed: int) -> str:
    """Readable name of an arm's cell."""
    return readable(arm.label, f"seed {seed}")


def by_arm(trials: Iterable[Trial]) -> dict[Arm, list[Trial]]:
    """Trials by arm, in the order of their first ones; those of an arm by seed. Of two of one cell the first counts."""
    found: dict[Arm, dict[int, Trial]] = {}
    for trial in trials:
        found.setdefault(trial.arm, {}).setdefault(trial.seed, trial)
    return {arm: [by_seed[seed] for seed in sorted(by_seed)] for arm, by_seed in found.items()}
