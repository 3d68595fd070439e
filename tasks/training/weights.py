"""Weights of fine-tuned trials, kept while their study runs, so that the logged model need not be trained again.

The study logs the model of the best arm's first seed, which is known only after all trials. So trials of the first seed
on generated rows write their weights, and after each trial only those of a task's best arms so far are kept. If the
weights of the best arm were removed before, its model is trained once more. If a run is killed, its folder stays for
the next run.
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
"""Folder in the home folder; it has a folder for each study with a folder for each trial."""
KEPT = 2
"""Arms of a task whose weights are kept: the two best so far, because the second may still become the best."""
LEAST_FREE = 4 * 2**30
"""Bytes that must be free on the disk for a trial to write its weights; with less, the space is left for results."""
PART = ".part"
"""Suffix of a folder whose trial is not stored yet."""


class KeptWeights:
    """The kept weights of one study. Thread-safe."""

    def __init__(self, config: StudyConfig, settings: Settings) -> None:
        self._first = min(config.seeds)
        self._folder = settings.home / FOLDER / config.name
        self._lock = threading.Lock()
        self._scores: dict[Arm, list[float]] = defaultdict(list)
        self._keys: dict[Arm, str] = {}

    def place(self, job: TrialJob) -> Path | None:
        """The folder in which a trial writes its weights, in a subfolder with its key; null if they are not kept."""
        kept = job.seed == self._first and job.arm.source and is_fine_tuned(job.classifier)
        return self._folder if kept else None

    def seen(self, trial: Trial) -> None:
        """Record a trial that has ended, and remove weights that are no longer among the best of its task."""
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
        """The folder with a trial's weights; null if it wrote none or they were removed."""
        folder = self._folder / trial.key
        return folder if trial.key and folder.is_dir() else None

    def discard(self) -> None:
        """Remove all weights, after the study has chosen the model to log."""
        _remove(self._folder)


def part_of(folder: Path | None, key: str, *, least: int = LEAST_FREE) -> Path | None:
    """Where the training of a trial with this key writes its model; null without a folder, or if less than ``least``
    bytes are free on its disk.
    """
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key}{PART}" if shutil.disk_usage(folder).free >= least else None


def settle(part: Path) -> None:
    """Keep the weights of a training after its trial is stored."""
    with contextlib.suppress(FileNotFoundError):  # the model could not be written, but the trial is still valid
        _remove(whole := part.with_suffix(""))
        part.rename(whole)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        LOGGER.warning("cannot remove the weights in %r: %s", str(folder), error)
