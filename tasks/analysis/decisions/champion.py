"""The champion, which is the best LLM so far for a task and mode, and whether another LLM is better.

The store keeps the champion with the keys of its trials. Therefore an LLM can be compared with a champion that its
provider no longer serves. An LLM replaces the champion only if the whole interval of its gap to it is above 0.
"""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from tasks.analysis.predictions import Predictions, label_names, shared_items
from tasks.analysis.statistics import paired
from tasks.records import Challenge, Gap, Outcome, Trial, by_arm, content_key, readable
from tasks.store import Store
from tasks.training.trial import read_predictions
from tasks.versions import NewerError

LOGGER = logging.getLogger("synthgap")

KIND = "champions"
WON = ("first", "better")
"""Outcomes after which the challenger is the champion."""
LIKE_SIZES = 1.1
"""The largest ratio of two training sets that are compared: filters keep fewer rows of some LLMs than of others."""

Place = tuple[str, str, str]
"""Task, mode (empty: all modes together) and name of the classifier."""
Group = Sequence[Trial]
"""The finished trials of one arm, one for each seed."""
Keys = tuple[str, ...]
GapOf = Callable[[Keys, Keys], Gap | None]
"""The gap between two lists of trials, by their keys, with the same seeds in the same order. Null if they were tested
on different rows. Raises ``FileNotFoundError`` if predictions are gone."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The best LLM and mode of a task, and the trials that show it."""

    name: str
    mode: str
    generator: str
    n_train: int
    trials: Mapping[str, str]
    """Seed, as text, to trial key."""
    classifier: str = ""
    macro_f1: float = 0.0
    """Mean over seeds. Candidates are compared in this order; the paired gap decides the outcome."""
    settings: str = ""
    """Keys of the generator and the classifier with their settings; empty in records of older versions."""

    def won_by(self, trial: Trial) -> bool:
        """Whether the trial is one of those that made this the champion."""
        source = trial.arm.source
        same = source and (trial.arm.mode, source.name) == (self.mode, self.generator)
        return bool(same) and trial.key in self.trials.values()

    def is_same(self, other: "Champion") -> bool:
        """Whether both are the same arm, whatever its size. Only names are compared if one of them has no settings."""
        names = (self.mode, self.generator, self.classifier) == (other.mode, other.generator, other.classifier)
        return names and (self.settings == other.settings or not (self.settings and other.settings))


def current_champion(store: Store, task: str, mode: str, classifier: str) -> Champion | None:
    """The champion of a task, mode (empty: of all modes) and classifier; null if there is none yet."""
    return store.record(KIND, content_key((task, mode, classifier)), Champion)


def update_champions(trials: Sequence[Trial], store: Store) -> tuple[Challenge, ...]:
    """Compare each LLM of a study with the champion of its task, mode and classifier, then with that of all modes.

    The store gets a new champion where the whole interval of the paired gap is above 0. Where there is no champion yet,
    the LLM with the best mean score becomes the first. The champion is not compared with itself.
    """
    of_mode: dict[Place, list[Group]] = {}
    of_all: dict[Place, list[Group]] = {}
    for arm, group in by_arm(filter(_competes, trials)).items():
        of_mode.setdefault((arm.task, arm.mode, arm.classifier.name), []).append(group)
        of_all.setdefault((arm.task, "", arm.classifier.name), []).append(group)
    gap = _gaps(store)
    with threadpool_limits(limits=1, user_api="blas"):  # the matrices are small: more threads would be slower
        return tuple(
            challenge
            for place, rivals in [*of_mode.items(), *of_all.items()]
            for group in sorted(rivals, key=_mean, reverse=True)
            if (challenge := _challenge(store, place, group, gap)) is not None
        )


def places_of(trials: Sequence[Trial]) -> list[Place]:
    """The sorted places of all trials that can become champions."""
    arms = [trial.arm for trial in trials if _competes(trial)]
    return sorted({(arm.task, mode, arm.classifier.name) for arm in arms for mode in (arm.mode, "")})


def champion_among(trials: Sequence[Trial], task: str, classifiers: Sequence[str], store: Store) -> Champion | None:
    """The task's champion over all modes, if its trials are among ``trials``; with several classifiers the best one."""
    current = (current_champion(store, task, "", classifier) for classifier in classifiers)
    found = [one for one in current if one and any(one.won_by(trial) for trial in trials)]
    return max(found, key=lambda one: one.macro_f1, default=None)


def compare_with_champion(
    place: Place, candidate: Champion, champion: Champion | None, store: Store
) -> Challenge | None:
    """The outcome for a candidate; null if it is the champion itself."""
    return _outcome(place, candidate, champion, _gaps(store))


def _outcome(place: Place, candidate: Champion, champion: Champion | None, gap: GapOf) -> Challenge | None:
    if champion and candidate.is_same(champion):
        return None
    challenge = Challenge(*place, candidate.name, champion.name if champion else None, "first")
    return _compared(challenge, candidate, champion, gap) if champion else challenge


def _competes(trial: Trial) -> bool:
    return bool(trial.arm.source and trial.arm.trained and trial.status == "ok")


def _mean(group: Group) -> float:
    return sum(trial.macro_f1 or 0.0 for trial in group) / len(group)


def _challenge(store: Store, place: Place, group: Group, gap: GapOf) -> Challenge | None:
    candidate = _candidate(group, place[1])
    try:
        champion = current_champion(store, *place)
    except NewerError as error:  # the trials are done: the champion stays, and the study goes on
        LOGGER.warning("%s", error)
        return None
    challenge = _outcome(place, candidate, champion, gap)
    if challenge and challenge.outcome in WON:
        store.put(KIND, content_key(place), asdict(candidate))
    return challenge


def _candidate(group: Group, mode: str) -> Champion:
    arm = group[0].arm
    assert arm.source  # ``_competes`` leaves out arms without a source
    settings = arm.classifier.label if arm.classifier.label != arm.classifier.name else None
    return Champion(
        name=readable(None if mode else arm.mode, settings, arm.source.label),
        mode=arm.mode,
        generator=arm.source.name,
        n_train=round(sum(trial.n_train for trial in group) / len(group)),
        trials={str(trial.seed): trial.key for trial in group},
        classifier=arm.classifier.name,
        macro_f1=_mean(group),
        settings=f"{arm.source.key}/{arm.classifier.key}",
    )


def _compared(challenge: Challenge, candidate: Champion, champion: Champion, gap: GapOf) -> Challenge:
    sizes = sorted((candidate.n_train, champion.n_train))
    if sizes[1] > LIKE_SIZES * sizes[0]:
        why = f"trained on {candidate.n_train} rows, the champion on {champion.n_train}"
        return replace(challenge, outcome="undecided", note=why)
    seeds = sorted(candidate.trials.keys() & champion.trials.keys(), key=int)
    if not seeds:
        return replace(challenge, outcome="undecided", note="no seed in common with the champion")
    try:
        found = gap(*(tuple(one.trials[seed] for seed in seeds) for one in (candidate, champion)))
    except FileNotFoundError:
        return replace(challenge, outcome="undecided", note="the champion's trials are no longer in the store")
    if found is None:
        return replace(challenge, outcome="undecided", note="tested on different rows than the champion")
    decided: Outcome = "better" if found.low > 0 else "worse" if found.high < 0 else "undecided"
    return replace(challenge, outcome=decided, gap=found)


def _gaps(store: Store) -> GapOf:
    """Gaps between trials in a store. Each is computed once: two champions of a task often have the same trials."""
    predictions = Predictions(store, read_predictions)

    @functools.cache
    def gap(ours: Keys, theirs: Keys) -> Gap | None:
        pairs = [(predictions.of(one), predictions.of(other)) for one, other in zip(ours, theirs, strict=True)]
        if any(one.items != other.items for one, other in pairs):
            return None
        answers = [answers for pair in pairs for answers in pair]
        items, names = shared_items(answers), label_names(answers)
        mine, other = (predictions.sample(keys, items, names) for keys in (ours, theirs))
        if not np.array_equal(mine.labels, other.labels):  # the data's labels have changed: the new ones count
            other = replace(other, labels=mine.labels)
        return paired.gap(mine, other)

    return gap
