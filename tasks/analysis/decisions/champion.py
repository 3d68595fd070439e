"""The best LLM so far for each task and mode, and whether a new one beats it.

The champion is kept in the store with the keys of its trials, so that an LLM that is no longer served still defends
its place. It loses it only to one that is better beyond chance; "undecided" changes nothing.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from tasks.analysis.statistics import paired
from tasks.analysis.statistics.paired import Paired
from tasks.records import Challenge, Outcome, Trial, content_key, readable
from tasks.store import Store
from tasks.training.trial import Prediction, read_predictions
from tasks.versions import NewerError

LOGGER = logging.getLogger("synthgap")

KIND = "champions"
WON = ("first", "better")
"""Outcomes that make a champion."""
LIKE_SIZES = 1.1
"""Training sets may differ in size by this factor: filters keep a few rows less of one LLM."""

Place = tuple[str, str, str]
"""Task, mode (empty: all modes compete) and classifier."""
Group = Sequence[Trial]
"""Finished trials of one (task, mode, generator, classifier), a seed each."""


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
    """Mean over seeds; for the choice of whom to let compete first, never for who wins."""

    def won_by(self, trial: Trial) -> bool:
        """Whether it is one of the trials that made it the best."""
        same = (trial.mode, trial.generator) == (self.mode, self.generator)
        return same and trial.key in self.trials.values()


def reigning(store: Store, task: str, mode: str, classifier: str) -> Champion | None:
    """The champion of a task, mode (empty: of all modes) and classifier; null before the first."""
    return store.record(KIND, content_key((task, mode, classifier)), Champion)


def crown(trials: Sequence[Trial], store: Store) -> tuple[Challenge, ...]:
    """Let every LLM of a study challenge the champion of its task, mode and classifier, then those of all modes.

    A champion that is beaten (the whole interval of the paired gap above 0) is replaced in the store. Where there is
    none, the best by mean score is the first. The champion itself, met again, challenges nobody.
    """
    groups = _groups(trials)
    return tuple(
        challenge
        for place, rivals in [*_by_mode(groups), *_overall(groups)]
        for group in sorted(rivals, key=_mean, reverse=True)
        if (challenge := _challenge(store, place, group)) is not None
    )


def contender(trials: Sequence[Trial], task: str, classifiers: Sequence[str], store: Store) -> Champion | None:
    """The best by mean score of the task's champions over all modes, one a classifier, that is among ``trials``."""
    reign = (reigning(store, task, "", classifier) for classifier in classifiers)
    found = [one for one in reign if one and any(one.won_by(trial) for trial in trials)]
    return max(found, key=lambda one: one.macro_f1, default=None)


def contest(place: Place, candidate: Champion, champion: Champion | None, store: Store) -> Challenge | None:
    """What comes of a challenge; null where the candidate is the champion itself."""
    ours, theirs = (one and (one.mode, one.generator, one.classifier) for one in (candidate, champion))
    if ours == theirs:
        return None
    challenge = Challenge(*place, candidate.name, champion.name if champion else None, "first")
    return _compared(challenge, candidate, champion, store) if champion else challenge


def _groups(trials: Sequence[Trial]) -> list[Group]:
    found: dict[tuple[str, ...], dict[int, Trial]] = {}
    for trial in trials:
        if trial.generator and trial.status == "ok" and trial.classifier != "llm":
            place = trial.task, trial.mode, trial.generator, trial.classifier
            found.setdefault(place, {}).setdefault(trial.seed, trial)
    return [list(by_seed.values()) for by_seed in found.values()]


Rivals = Iterator[tuple[Place, list[Group]]]


def _by_mode(groups: Sequence[Group]) -> Rivals:
    found: dict[Place, list[Group]] = {}
    for group in groups:
        found.setdefault((group[0].task, group[0].mode, group[0].classifier), []).append(group)
    yield from found.items()


def _overall(groups: Sequence[Group]) -> Rivals:
    found: dict[Place, list[Group]] = {}
    for group in groups:
        found.setdefault((group[0].task, "", group[0].classifier), []).append(group)
    yield from found.items()


def _mean(group: Group) -> float:
    return sum(trial.macro_f1 or 0.0 for trial in group) / len(group)


def _challenge(store: Store, place: Place, group: Group) -> Challenge | None:
    candidate = _candidate(group, place[1])
    try:
        champion = reigning(store, *place)
    except NewerError as error:  # all is trained by now: the champion stays, and the rest of the study counts
        LOGGER.warning("%s", error)
        return None
    challenge = contest(place, candidate, champion, store)
    if challenge and challenge.outcome in WON:
        store.put(KIND, content_key(place), asdict(candidate))
    return challenge


def _candidate(group: Group, mode: str) -> Champion:
    first = group[0]
    return Champion(
        name=first.generator or "" if mode else readable(first.mode, first.generator),
        mode=first.mode,
        generator=first.generator or "",
        n_train=round(sum(trial.n_train for trial in group) / len(group)),
        trials={str(trial.seed): trial.key for trial in group},
        classifier=first.classifier,
        macro_f1=_mean(group),
    )


def _compared(challenge: Challenge, candidate: Champion, champion: Champion, store: Store) -> Challenge:
    sizes = sorted((candidate.n_train, champion.n_train))
    if sizes[1] > LIKE_SIZES * sizes[0]:
        why = f"trained on {candidate.n_train} rows, the champion on {champion.n_train}"
        return replace(challenge, outcome="undecided", note=why)
    seeds = sorted(candidate.trials.keys() & champion.trials.keys(), key=int)
    try:
        pairs = [[read_predictions(store, one.trials[seed]) for one in (candidate, champion)] for seed in seeds]
    except FileNotFoundError:
        return replace(challenge, outcome="undecided", note="the champion's trials are not in the store any more")
    if not pairs or any({p.item for p in ours} != {p.item for p in theirs} for ours, theirs in pairs):
        why = "tested on other rows than the champion" if pairs else "no seed in common with the champion"
        return replace(challenge, outcome="undecided", note=why)
    both = _paired([predictions for pair in pairs for predictions in pair])
    ours, theirs = (replace(both, predicted=both.predicted[side::2]) for side in (0, 1))
    gap = paired.gap(ours, theirs)
    decided: Outcome = "better" if gap.low > 0 else "worse" if gap.high < 0 else "undecided"
    return replace(challenge, outcome=decided, gap=gap)


def _paired(predictions: Sequence[Sequence[Prediction]]) -> Paired:
    """The predictions of some trials, a row each, on their items in one order."""
    by_item = [{p.item: p for p in of} for of in predictions]
    items = sorted(by_item[0])
    names = sorted({p.label for p in predictions[0]} | {p.predicted for of in predictions for p in of})
    number = {name: i for i, name in enumerate(names)}
    return Paired(
        labels=np.array([number[by_item[0][item].label] for item in items]),
        predicted=np.array([[number[of[item].predicted] for item in items] for of in by_item]),
        classes=len(names),
    )
