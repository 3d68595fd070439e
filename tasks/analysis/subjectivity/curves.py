"""Accuracy on the test rows that raters agree on, over how far they must agree (Li et al. 2023, section 5).

A curve is over the test rows with an agreement only, whoever gave it. Slopes are compared with those of the real
trials that ``matched_real`` names, on the same test rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tasks.analysis.matched_real import Pair, find_real
from tasks.analysis.predictions import Predictions, label_names, shared_items
from tasks.analysis.statistics.intervals import slope_interval
from tasks.analysis.statistics.paired import Aligned, score_interval
from tasks.analysis.subjectivity.agreement import Agreement
from tasks.modes import MATCHED_REAL
from tasks.records import Curve, CurvePoint, Interval, Trial, by_arm
from tasks.store import Store

MAX_POINTS = 6
"""Points of a curve; where raters are many, nearly every row has an agreement of its own."""
MIN_ITEMS = 20
"""Fewest test rows of a point, and fewest that its last point leaves out for a slope."""
DECIMALS = 6
"""Agreements are shares: 2/3 is the same threshold however it was rounded."""


def make_curves(trials: Sequence[Trial], agreement: Mapping[str, Agreement], store: Store) -> tuple[Curve, ...]:
    """One curve an arm, in the order of the trials. Real rows beside a synthesis that fell short have none.

    ``agreement`` is by task. A curve that cannot be drawn has no points and says why. Raises ``RunError`` where a
    finished trial's predictions are gone or damaged.
    """
    real, predictions = find_real(trials), Predictions(store)
    rated = {
        task: {item: round(share, DECIMALS) for item, share in shares.items()} for task, shares in agreement.items()
    }
    with threadpool_limits(limits=1, user_api="blas"):  # small products: more threads only wait for each other
        return tuple(
            _curve(group, real.pairs(group), rated.get(arm.task, {}), predictions)
            for arm, group in by_arm(trials).items()
            if arm.mode != MATCHED_REAL or arm.size is not None
        )


def _curve(group: list[Trial], pairs: Sequence[Pair], rated: Agreement, predictions: Predictions) -> Curve:
    empty = Curve(group[0].arm, ())
    finished = [trial for trial in group if trial.status == "ok"]
    if not finished:
        return replace(empty, note="no trial finished")
    if not rated:
        note = "nobody rated the test rows: the data has no raters and the study names no annotators"
        return replace(empty, note=note)
    ours = [predictions.of(trial.key) for trial in finished]
    items = shared_items(ours, rated)
    if len(items) < MIN_ITEMS:
        return replace(empty, note=f"{len(items)} rated test rows; a point takes at least {MIN_ITEMS}")
    shares = np.array([rated[item] for item in items])
    gammas = thresholds(shares)
    sample = predictions.sample(tuple(trial.key for trial in finished), items, label_names(ours))
    curve = replace(empty, points=tuple(_point(sample, shares >= gamma, gamma) for gamma in gammas))
    disputed = int((shares < gammas[-1]).sum())
    if disputed < MIN_ITEMS:
        note = f"no slope: raters disagree more on only {disputed} of {len(items)} test rows; it takes {MIN_ITEMS}"
        return replace(curve, note=note)
    return replace(
        curve,
        slope=slope_interval(_right(sample), shares >= gammas[-1]),
        steeper=_steeper(pairs, rated, predictions, gammas[-1]),
        note="one seed: the intervals leave out how trainings differ" if len(finished) == 1 else "",
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


def _point(sample: Aligned, chosen: NDArray[np.bool_], gamma: float) -> CurvePoint:
    part = Aligned(sample.labels[chosen], sample.predicted[:, chosen], sample.classes)
    return CurvePoint(gamma, int(chosen.sum()), score_interval(part, "accuracy"))


def _steeper(pairs: Sequence[Pair], rated: Agreement, predictions: Predictions, gamma: float) -> Interval | None:
    """Slope minus that of real rows, both on the rows and seeds that the two share; null where they share too few."""
    if not pairs:
        return None
    answers = [predictions.of(trial.key) for pair in pairs for trial in pair]
    items, names = shared_items(answers, rated), label_names(answers)
    upper = np.array([rated[item] >= gamma for item in items], bool)
    if upper.sum() < MIN_ITEMS or (~upper).sum() < MIN_ITEMS:
        return None
    sides = (tuple(trial.key for trial in side) for side in zip(*pairs, strict=True))
    ours, theirs = (_right(predictions.sample(keys, items, names)) for keys in sides)
    return slope_interval(ours - theirs, upper)


def _right(sample: Aligned) -> NDArray[np.float64]:
    """(seeds, items) 1 where the prediction is the label."""
    return np.asarray(sample.predicted == sample.labels, np.float64)
