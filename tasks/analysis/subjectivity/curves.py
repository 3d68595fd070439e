"""Accuracy as a function of the raters' agreement on the test rows (Li et al. 2023, section 5).

A point is the accuracy on the test rows with at least so much agreement. Only rated test rows count, whether the data's
raters or the annotators rated them. The slope of an arm is compared with that of its real trials (``matched_real``) on
the same test rows.
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
"""Most points of a curve: with many raters, nearly every row has another agreement."""
MIN_ITEMS = 20
"""Fewest test rows of a point. A slope also needs so many rows with less agreement than the last point."""
DECIMALS = 6
"""Agreements are rounded, so that 2/3 is one threshold even if files round it differently."""


def make_curves(trials: Sequence[Trial], agreement: Mapping[str, Agreement], store: Store) -> tuple[Curve, ...]:
    """One curve for each arm, in the order of the trials.

    ``agreement`` is by task. Real rows that only match a synthesis with too few rows get no curve. A curve that cannot
    be computed has no points, and its note gives the reason. Raises ``RunError`` if the predictions of a finished trial
    are gone or damaged.
    """
    real, predictions = find_real(trials), Predictions(store)
    rated = {
        task: {item: round(share, DECIMALS) for item, share in shares.items()} for task, shares in agreement.items()
    }
    with threadpool_limits(limits=1, user_api="blas"):  # the matrices are small: more threads would be slower
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
        return replace(empty, note=f"{len(items)} rated test rows; a point needs at least {MIN_ITEMS}")
    shares = np.array([rated[item] for item in items])
    gammas = thresholds(shares)
    sample = predictions.sample(tuple(trial.key for trial in finished), items, label_names(ours))
    curve = replace(empty, points=tuple(_point(sample, shares >= gamma, gamma) for gamma in gammas))
    disputed = int((shares < gammas[-1]).sum())
    if disputed < MIN_ITEMS:
        note = f"no slope: it needs {MIN_ITEMS} test rows with less agreement, and {disputed} of {len(items)} have less"
        return replace(curve, note=note)
    return replace(
        curve,
        slope=slope_interval(_right(sample), shares >= gammas[-1]),
        steeper=_steeper(pairs, rated, predictions, gammas[-1]),
        note="one seed: the intervals do not cover differences between trainings" if len(finished) == 1 else "",
    )


def thresholds(shares: NDArray[np.float64]) -> list[float]:
    """Agreements at which the curve has a point, in rising order. At least ``MIN_ITEMS`` rows agree at least so much.

    They are the lowest agreement, the highest one, and up to four between them, about evenly spaced.
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
    """Slope minus the slope of real rows, on the test rows and seeds that both have; null if both have too few."""
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
