"""Accuracy on the test rows that raters agree on, over how far they must agree (Li et al. 2023, section 5).

A curve is over the test rows with an agreement only, whoever gave it. Slopes are compared with those of the real
trials that ``baseline`` names, on the same test rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tasks.analysis.baseline import Pair, find_baselines
from tasks.analysis.statistics.intervals import slope_interval
from tasks.analysis.statistics.paired import Paired, score_interval
from tasks.records import Curve, CurvePoint, Interval, Trial
from tasks.store import Store
from tasks.training.trial import needed_predictions

MAX_POINTS = 6
"""Points of a curve; where raters are many, nearly every row has an agreement of its own."""
MIN_ITEMS = 20
"""Fewest test rows of a point, and fewest that its last point leaves out for a slope."""
DECIMALS = 6
"""Agreements are shares: 2/3 is the same threshold however it was rounded."""

Said = Mapping[str, tuple[str, str]]
"""Item to (label, predicted)."""
Agreement = Mapping[str, float]
"""Item to the share of its raters who chose the most frequent label."""


def make_curves(trials: Sequence[Trial], agreement: Mapping[str, Agreement], store: Store) -> tuple[Curve, ...]:
    """One curve a (task, mode, generator, classifier), in the order of the trials.

    ``agreement`` is by task. A curve that cannot be drawn has no points and says why. Of real rows of several sizes
    the largest has the curve. Raises ``RunError`` where a finished trial's predictions are gone or damaged.
    """
    baselines = find_baselines(trials)
    groups = _groups(trials)
    drawn: dict[int, Curve] = {}
    with threadpool_limits(limits=1, user_api="blas"):  # small products: more threads only wait for each other
        for task in {group[0].task: None for group in groups}:
            rated = {item: round(share, DECIMALS) for item, share in agreement.get(task, {}).items()}
            read = _reader(store, rated)
            for i, group in enumerate(groups):
                if group[0].task == task:
                    drawn[i] = _curve(group, baselines.pairs(group), rated, read)
    return tuple(drawn[i] for i in range(len(groups)))


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials of each curve, by seed. ``real`` may have several sizes: the largest is the study's own."""
    sizes: dict[tuple[str, str, str | None, str], int] = {}
    for trial in trials:
        key = trial.task, trial.mode, trial.generator, trial.classifier
        sizes[key] = max(sizes.get(key, 0), trial.n_train)
    found: dict[tuple[str, str, str | None, str], dict[int, Trial]] = {key: {} for key in sizes}
    for trial in trials:
        key = trial.task, trial.mode, trial.generator, trial.classifier
        if trial.generator is not None or trial.n_train == sizes[key]:
            found[key].setdefault(trial.seed, trial)
    return [[by_seed[seed] for seed in sorted(by_seed)] for by_seed in found.values()]


def _reader(store: Store, rated: Agreement) -> Callable[[Trial], Said]:
    """Reads the predictions of rated rows, each trial's once: a baseline is held against many curves."""
    known: dict[str, Said] = {}

    def read(trial: Trial) -> Said:
        if trial.key not in known:
            rows = needed_predictions(store, trial.key)
            known[trial.key] = {row.item: (row.label, row.predicted) for row in rows if row.item in rated}
        return known[trial.key]

    return read


def _curve(group: list[Trial], pairs: Sequence[Pair], rated: Agreement, read: Callable[[Trial], Said]) -> Curve:
    first = group[0]
    empty = Curve(first.task, first.mode, first.generator, first.classifier, ())
    finished = [trial for trial in group if trial.status == "ok"]
    if not finished:
        return replace(empty, note="no trial finished")
    if not rated:
        note = "nobody rated the test rows: the data has no raters and the study names no annotators"
        return replace(empty, note=note)
    ours = [read(trial) for trial in finished]
    items = _shared(ours)
    if len(items) < MIN_ITEMS:
        return replace(empty, note=f"{len(items)} rated test rows; a point takes at least {MIN_ITEMS}")
    shares = np.array([rated[item] for item in items])
    gammas = thresholds(shares)
    sample = _paired(ours, items)
    curve = replace(empty, points=tuple(_point(sample, shares >= gamma, gamma) for gamma in gammas))
    disputed = int((shares < gammas[-1]).sum())
    if disputed < MIN_ITEMS:
        note = f"no slope: raters disagree more on only {disputed} of {len(items)} test rows; it takes {MIN_ITEMS}"
        return replace(curve, note=note)
    return replace(
        curve,
        slope=slope_interval(_right(ours, items), shares >= gammas[-1]),
        steeper=_steeper(pairs, rated, read, gammas[-1]),
        note="one seed: the intervals leave out the chance of training" if len(finished) == 1 else "",
    )


def thresholds(shares: NDArray[np.float64]) -> list[float]:
    """Rising gammas, out of the agreements that occur, that leave at least ``MIN_ITEMS`` rows.

    The lowest, the highest and at most four between them, spaced evenly as far as the agreements allow.
    """
    attained = np.unique(shares)
    kept = [float(gamma) for gamma in attained if (shares >= gamma).sum() >= MIN_ITEMS]
    if len(kept) <= MAX_POINTS:
        return kept
    wanted = np.linspace(kept[0], kept[-1], MAX_POINTS)
    return sorted({min(kept, key=lambda gamma: abs(gamma - target)) for target in wanted})


def _point(sample: Paired, chosen: NDArray[np.bool_], gamma: float) -> CurvePoint:
    part = Paired(sample.labels[chosen], sample.predicted[:, chosen], sample.classes)
    return CurvePoint(gamma, int(chosen.sum()), score_interval(part, "accuracy"))


def _steeper(pairs: Sequence[Pair], rated: Agreement, read: Callable[[Trial], Said], gamma: float) -> Interval | None:
    """Slope minus the baseline's, both on the rows and seeds that the two share; null where they share too few."""
    matched = [(read(trial), read(real)) for trial, real in pairs]
    if not matched:
        return None
    items = _shared([said for pair in matched for said in pair])
    upper = np.array([rated[item] >= gamma for item in items], bool)
    if upper.sum() < MIN_ITEMS or (~upper).sum() < MIN_ITEMS:
        return None
    ours, theirs = (_right([pair[side] for pair in matched], items) for side in (0, 1))
    return slope_interval(ours - theirs, upper)


def _shared(said: Sequence[Said]) -> list[str]:
    return sorted(set.intersection(*(set(rows) for rows in said)))


def _paired(said: Sequence[Said], items: Sequence[str]) -> Paired:
    names = sorted({name for rows in said for item in items for name in rows[item]})
    index = {name: i for i, name in enumerate(names)}
    return Paired(
        labels=np.array([index[said[0][item][0]] for item in items]),
        predicted=np.array([[index[rows[item][1]] for item in items] for rows in said]),
        classes=len(names),
    )


def _right(said: Sequence[Said], items: Sequence[str]) -> NDArray[np.float64]:
    """(seeds, items) 1 where the prediction is the label."""
    return np.array([[rows[item][0] == rows[item][1] for item in items] for rows in said], np.float64)
