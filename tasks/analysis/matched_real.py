"""Which real trials an arm is compared with.

In most modes these are the real trials of the same size: then the gap shows the quality of the rows, not their number.
Modes that measure the effect of the number (such as a small pool, alone or with synthetic rows) are compared with as
many real rows as the study asks for. So are arms without training; the real rows then train the first classifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.modes import MATCHED_REAL, mode_facts
from tasks.records import Arm, Configured, Rows, Trial

Pair = tuple[Trial, Trial]


@dataclass(frozen=True)
class RealTrials:
    """The trials of a study on matched real rows."""

    finished: Mapping[tuple[str, Configured, int, Rows], Trial]
    """By task, classifier, seed and rows."""
    arms: Sequence[Arm]
    """Arms of these trials, also of failed ones. Those with fewer rows than the study asks for match a synthesis that
    has too few rows."""

    def pairs(self, group: Sequence[Trial]) -> list[Pair]:
        """Each finished trial of an arm with its real trial; empty if there is none.

        Both have the same seed. An arm without training may have a single trial, which is then paired with the real
        trials of all seeds.
        """
        found = [trial for trial in group if trial.status == "ok"]
        if not found:
            return []
        arm, compared_to = found[0].arm, mode_facts(found[0].mode).compared_to
        if compared_to == "real rows of the same size":
            wanted = [(arm.classifier, rows_of(trial)) for trial in found]
        elif compared_to == "the study's real rows" and (asked := self._asked(arm)):
            if not arm.trained and len(group) == 1:
                place = arm.task, *asked
                return [
                    (found[0], real)
                    for (task, classifier, _, rows), real in self.finished.items()
                    if (task, classifier, rows) == place
                ]
            wanted = [asked] * len(found)
        else:
            return []
        matched = [
            (trial, self.finished.get((arm.task, classifier, trial.seed, rows)))
            for trial, (classifier, rows) in zip(found, wanted, strict=True)
        ]
        return [(trial, real) for trial, real in matched if real]

    def _asked(self, arm: Arm) -> tuple[Configured, Rows] | None:
        """Classifier and rows of the real arm with as many rows as the study asks for; of several sizes the largest."""
        of_task = [real for real in self.arms if real.task == arm.task]
        classifier = arm.classifier if arm.trained else next((real.classifier for real in of_task), None)
        fitting = [real for real in of_task if real.classifier == classifier]
        same = [real for real in fitting if arm.size is not None and real.size == arm.size]
        largest = max(same or fitting, key=lambda real: sum(n for _, n in real.rows), default=None)
        return (largest.classifier, largest.rows) if largest else None


def rows_of(trial: Trial) -> Rows:
    """The number of training rows by label: fewer than the arm asks for if the synthesis has too few."""
    return tuple(sorted(trial.label_counts.items()))


def find_real(trials: Sequence[Trial]) -> RealTrials:
    """The trials on matched real rows among the trials of a study."""
    real = [trial for trial in trials if trial.mode == MATCHED_REAL]
    finished = {
        (trial.arm.task, trial.arm.classifier, trial.seed, rows_of(trial)): trial
        for trial in real
        if trial.status == "ok"
    }
    return RealTrials(finished, tuple(dict.fromkeys(trial.arm for trial in real)))
