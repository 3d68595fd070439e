"""Weights that fine-tuned trials leave while their study runs, so that the model it logs is not trained twice.

Which model is logged is known when all trials are: that of the best arm, from its first seed. So trials of the first
seed on generated rows leave theirs, and after each trial only those of a task's best arms so far stay. Where the best
arm of all was dropped on the way, its model is trained once more. A run that is killed leaves its folder to the next.
"""

import contextlib
import logging
import shutil
import threading
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from tasks.config import StudyConfig
from tasks.records import Arm, Trial, TrialJob
from tasks.settings import Settings
from tasks.training.classifiers import is_fine_tuned

LOGGER = logging.getLogger("synthgap")

FOLDER = "weights"
"""Of the home folder: in it a folder for each study, in that one for each trial."""
KEPT = 2
"""Arms of a task whose weights stay: the best so far, and one that may still overtake it."""
LEAST_FREE = 4 * 2**30
"""Bytes that must be free on the disk for a trial to leave its weights; with less the results come first."""
PART = ".part"
"""Ends the name of a folder whose trial is not stored yet."""


class KeptWeights:
    """Those of one study. Thread-safe."""

    def __init__(self, config: StudyConfig, settings: Settings) -> None:
        self._first = min(config.seeds)
        self._folder = settings.home / FOLDER / config.name
        self._lock = threading.Lock()
        self._scores: dict[Arm, list[float]] = defaultdict(list)
        self._keys: dict[Arm, str] = {}

    def place(self, job: TrialJob) -> Path | None:
        """The folder in which a trial leaves its weights, in a folder with its key; null where none are kept."""
        kept = job.seed == self._first and job.arm.source and is_fine_tuned(job.classifier)
        return self._folder if kept else None

    def seen(self, trial: Trial) -> None:
        """Note a trial that has ended, and drop what is not among the best of its task any more."""
        if trial.macro_f1 is None or not trial.arm.source:
            return
        with self._lock:
            self._scores[trial.arm].append(trial.macro_f1)
            if (self._folder / trial.key).is_dir():
                self._keys[trial.arm] = trial.key
            rivals = [arm for arm in self._keys if arm.task == trial.task]
            for arm in sorted(rivals, key=lambda one: fmean(self._scores[one]), reverse=True)[KEPT:]:
                _remove(self._folder / self._keys.pop(arm))

    def of(self, trial: Trial) -> Path | None:
        """The folder in which a trial left its weights; null where it left none, or they were dropped."""
        folder = self._folder / trial.key
        return folder if trial.key and folder.is_dir() else None

    def discard(self) -> None:
        """Remove them all: the study has chosen."""
        _remove(self._folder)


def part_of(folder: Path | None, key: str, *, least: int = LEAST_FREE) -> Path | None:
    """Where the training of a trial with this key may leave its model; null without a folder, or ``least`` bytes free
    on its disk.
    """
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key}{PART}" if shutil.disk_usage(folder).free >= least else None


def settle(part: Path) -> None:
    """Keep what a training left: its trial is stored."""
    with contextlib.suppress(FileNotFoundError):  # it could not be written, which costs the model and not the trial
        _remove(whole := part.with_suffix(""))
        part.rename(whole)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        LOGGER.warning("cannot remove the weights in %r: %s", str(folder), error)
