"""Which real trials an arm is compared with.

As a rule those of the same size, so that a gap shows the quality of the rows and not their number. Modes that are about
the number (what does a small pool do, alone or together with synthetic rows?) are compared with as many real rows as
the study asks for. Arms that train nothing are compared with the same, by the study's first classifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.modes import MATCHED_REAL, mode_facts
from tasks.records import Arm, Configured, Rows, Trial

Pair = tuple[Trial, Trial]


@dataclass(frozen=True)
class RealTrials:
    """The trials on matched real rows of a study."""

    finished: Mapping[tuple[str, Configured, int, Rows], Trial]
    """By task, classifier, seed and rows."""
    arms: Sequence[Arm]
    """Failed ones count, too. Smaller ones than the study asks for are beside syntheses that fell short of rows."""

    def pairs(self, group: Sequence[Trial]) -> list[Pair]:
        """Each finished trial of an arm with its real one; empty where there is none.

        One of several seeds is paired with the real trial of the same seed. An arm that trains nothing may have one
        trial only, which is then paired with the real trials of all seeds.
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
        """Classifier and rows of the real arm that is as large as the study asks for, of several sizes the largest."""
        of_task = [real for real in self.arms if real.task == arm.task]
        classifier = arm.classifier if arm.trained else next((real.classifier for real in of_task), None)
        fitting = [real for real in of_task if real.classifier == classifier]
        same = [real for real in fitting if arm.size is not None and real.size == arm.size]
        largest = max(same or fitting, key=lambda real: sum(n for _, n in real.rows), default=None)
        return (largest.classifier, largest.rows) if largest else None


def rows_of(trial: Trial) -> Rows:
    """A trial's training rows by label: fewer than its arm asks for where a synthesis fell short."""
    return tuple(sorted(trial.label_counts.items()))


def find_real(trials: Sequence[Trial]) -> RealTrials:
    """The trials on matched real rows among a study's trials."""
    real = [trial for trial in trials if trial.mode == MATCHED_REAL]
    finished = {
        (trial.arm.task, trial.arm.classifier, trial.seed, rows_of(trial)): trial
        for trial in real
        if trial.status == "ok"
    }
    return RealTrials(finished, tuple(dict.fromkeys(trial.arm for trial in real)))
