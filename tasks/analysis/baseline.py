"""Which real trials a group of trials is held against.

As a rule those of the same size, so that a gap is the price of the text and not of its amount. Modes that are about
the amount (what does a small pool do, alone or with synthetic rows beside it?) are held against the study's main
baseline; so are baselines that train on nothing, with the study's first classifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.records import Trial

BASELINE = "real"
REFERENCE = "real_full"
OF_OWN_SIZE = ("pool_only", "pool_plus_synthetic")
"""Modes whose number of rows is part of the question."""
UNTRAINED = ("majority", "llm_zero_shot", "llm_few_shot")
"""Modes without training rows."""

Size = tuple[tuple[str, int], ...]
Pair = tuple[Trial, Trial]


@dataclass(frozen=True)
class Baselines:
    """The real trials of a study that finished."""

    by_cell: Mapping[tuple[str, str, int, Size], Trial]
    """By task, classifier, seed and size."""
    main: Mapping[tuple[str, str], Size]
    """By task and classifier: the size that the study asks for; failed trials count, too."""
    first: Mapping[str, str]
    """By task: the first classifier."""

    def pairs(self, group: Sequence[Trial]) -> list[Pair]:
        """Each finished trial of a group with its baseline; empty where there is none.

        One of several seeds stands beside the baseline of the same seed. A mode that trains on nothing may have one
        trial only, which then stands beside every seed of the baseline.
        """
        finished = [trial for trial in group if trial.status == "ok"]
        if not finished or finished[0].mode in (BASELINE, REFERENCE):
            return []
        if finished[0].mode in UNTRAINED and len(group) == 1:
            return [(finished[0], real) for real in self._all(finished[0])]
        found = [(trial, self._same_seed(trial)) for trial in finished]
        return [(trial, real) for trial, real in found if real]

    def _same_seed(self, trial: Trial) -> Trial | None:
        return self.by_cell.get((trial.task, self._classifier(trial), trial.seed, self._size(trial)))

    def _all(self, trial: Trial) -> list[Trial]:
        """The main baseline of a trial that trains on nothing, all its seeds."""
        wanted = trial.task, self._classifier(trial), self._size(trial)
        return [real for (task, name, _, size), real in self.by_cell.items() if (task, name, size) == wanted]

    def _classifier(self, trial: Trial) -> str:
        return self.first.get(trial.task, "") if trial.mode in UNTRAINED else trial.classifier

    def _size(self, trial: Trial) -> Size:
        if trial.mode in UNTRAINED + OF_OWN_SIZE:
            return self.main.get((trial.task, self._classifier(trial)), ())
        return size_of(trial)


def size_of(trial: Trial) -> Size:
    """A trial's training rows by label, in one order."""
    return tuple(sorted(trial.label_counts.items()))


def find_baselines(trials: Sequence[Trial]) -> Baselines:
    """The real baselines among a study's trials.

    The largest of them is the main one: the others were trained beside syntheses that fell short of it.
    """
    real = [trial for trial in trials if trial.mode == BASELINE]
    first: dict[str, str] = {}
    main: dict[tuple[str, str], Size] = {}
    for trial in real:
        first.setdefault(trial.task, trial.classifier)
        key, size = (trial.task, trial.classifier), size_of(trial)
        main[key] = max(main.get(key, size), size, key=_rows)
    finished = [trial for trial in real if trial.status == "ok"]
    return Baselines({(t.task, t.classifier, t.seed, size_of(t)): t for t in finished}, main, first)


def _rows(size: Size) -> int:
    return sum(rows for _, rows in size)
