"""The best LLM so far for each task and mode, and whether a new one beats it.

The champion is kept in the store with the keys of its trials, so an LLM that is no longer served can still be compared.
Only an LLM that is better beyond chance replaces it; "undecided" changes nothing.
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
"""Outcomes that make a champion."""
LIKE_SIZES = 1.1
"""Training sets may differ in size by this factor: filters keep fewer rows of some LLMs than of others."""

Place = tuple[str, str, str]
"""Task, mode (empty: all modes compete) and name of the classifier."""
Group = Sequence[Trial]
"""Finished trials of one arm, a seed each."""
Keys = tuple[str, ...]
GapOf = Callable[[Keys, Keys], Gap | None]
"""The gap of trials, by their keys, to others of the same seeds; null where they were tested on other rows. Raises
``FileNotFoundError`` where predictions are gone."""


@dataclass(frozen=True, slots=True)
class Champion:
    """Who is best, and by which trials."""

    name: str
    mode: str
    generator: str
    n_train: int
    trials: Mapping[str, str]
    """Seed, as text, to trial key."""
    classifier: str = ""
    macro_f1: float = 0.0
    """Mean over seeds. It orders the candidates; the paired gap decides who wins."""
    settings: str = ""
    """Keys of generator and classifier with their settings; empty in records of earlier versions."""

    def won_by(self, trial: Trial) -> bool:
        """Whether it is one of the trials that made it the best."""
        source = trial.arm.source
        same = source and (trial.arm.mode, source.name) == (self.mode, self.generator)
        return bool(same) and trial.key in self.trials.values()

    def is_same(self, other: "Champion") -> bool:
        """Whether both are one arm, of whatever size; by names alone where one of them lacks the settings."""
        names = (self.mode, self.generator, self.classifier) == (other.mode, other.generator, other.classifier)
        return names and (self.settings == other.settings or not (self.settings and other.settings))


def current_champion(store: Store, task: str, mode: str, classifier: str) -> Champion | None:
    """The champion of a task, mode (empty: of all modes) and classifier; null before the first."""
    return store.record(KIND, content_key((task, mode, classifier)), Champion)


def update_champions(trials: Sequence[Trial], store: Store) -> tuple[Challenge, ...]:
    """Compare every LLM of a study with the champion of its task, mode and classifier, then with that of all modes.

    A champion that is beaten (the whole interval of the paired gap above 0) is replaced in the store. Where there is
    none, the best by mean score becomes the first. The champion is not compared with itself.
    """
    of_mode: dict[Place, list[Group]] = {}
    of_all: dict[Place, list[Group]] = {}
    for arm, group in by_arm(filter(_competes, trials)).items():
        of_mode.setdefault((arm.task, arm.mode, arm.classifier.name), []).append(group)
        of_all.setdefault((arm.task, "", arm.classifier.name), []).append(group)
    gap = _gaps(store)
    with threadpool_limits(limits=1, user_api="blas"):  # small products: more threads only wait for each other
        return tuple(
            challenge
            for place, rivals in [*of_mode.items(), *of_all.items()]
            for group in sorted(rivals, key=_mean, reverse=True)
            if (challenge := _challenge(store, place, group, gap)) is not None
        )


def places_of(trials: Sequence[Trial]) -> list[Place]:
    """The places that trials compete for, sorted."""
    arms = [trial.arm for trial in trials if _competes(trial)]
    return sorted({(arm.task, mode, arm.classifier.name) for arm in arms for mode in (arm.mode, "")})


def champion_among(trials: Sequence[Trial], task: str, classifiers: Sequence[str], store: Store) -> Champion | None:
    """The best by mean score of the task's champions over all modes, one a classifier, that is among ``trials``."""
    current = (current_champion(store, task, "", classifier) for classifier in classifiers)
    found = [one for one in current if one and any(one.won_by(trial) for trial in trials)]
    return max(found, key=lambda one: one.macro_f1, default=None)


def compare_with_champion(
    place: Place, candidate: Champion, champion: Champion | None, store: Store
) -> Challenge | None:
    """The outcome for a candidate; null where it is the champion itself."""
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
    except NewerError as error:  # all is trained by now: the champion stays, and the rest of the study counts
        LOGGER.warning("%s", error)
        return None
    challenge = _outcome(place, candidate, champion, gap)
    if challenge and challenge.outcome in WON:
        store.put(KIND, content_key(place), asdict(candidate))
    return challenge


def _candidate(group: Group, mode: str) -> Champion:
    arm = group[0].arm
    assert arm.source  # ``update_champions`` lets no arm of real rows compete
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
        return replace(challenge, outcome="undecided", note="the champion's trials are not in the store any more")
    if found is None:
        return replace(challenge, outcome="undecided", note="tested on other rows than the champion")
    decided: Outcome = "better" if found.low > 0 else "worse" if found.high < 0 else "undecided"
    return replace(challenge, outcome=decided, gap=found)


def _gaps(store: Store) -> GapOf:
    """Gaps between trials in a store, each computed once: two champions of a task are often the same trials."""
    predictions = Predictions(store, read_predictions)

    @functools.cache
    def gap(ours: Keys, theirs: Keys) -> Gap | None:
        pairs = [(predictions.of(one), predictions.of(other)) for one, other in zip(ours, theirs, strict=True)]
        if any(one.items != other.items for one, other in pairs):
            return None
        answers = [answers for pair in pairs for answers in pair]
        items, names = shared_items(answers), label_names(answers)
        mine, other = (predictions.sample(keys, items, names) for keys in (ours, theirs))
        if not np.array_equal(mine.labels, other.labels):  # the data's labels have changed since: today's are right
            other = replace(other, labels=mine.labels)
        return paired.gap(mine, other)

    return gap
