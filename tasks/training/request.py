"""Input of a training: plain values, which are sent to a worker process."""

from dataclasses import dataclass

from tasks.config import ClassifierConfig
from tasks.training.hardware import Precision


@dataclass(frozen=True)
class Training:
    """One training and its test texts. It does not have the test labels."""

    config: ClassifierConfig
    labels: tuple[str, ...]
    """All labels of the task, in the order of the probabilities' columns."""
    texts: tuple[str, ...]
    row_labels: tuple[str, ...]
    test_texts: tuple[str, ...]
    seed: int
    precision: Precision
    threads: int
    """CPU threads that torch may use."""
    save_to: str | None = None
    """Folder for the trained model; null if it is not kept."""
