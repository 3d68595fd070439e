"""What a study's trials say: each cell group's scores, its gap to real labels, and a verdict in plain words."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from tasks.analysis import statistics
from tasks.analysis.statistics import Paired
from tasks.records import Comparison, Gap, Trial
from tasks.store import Store
from tasks.training.trial import read_predictions

BASELINE = "real"

Group = tuple[str, str, str | None, str, tuple[tuple[str, int], ...]]


def compare(trials: Sequence[Trial], store: Store, tolerance: float) -> tuple[Comparison, ...]:
    """One comparison a (task, mode, generator, classifier), in the order of the trials.

    A mode is compared with the ``real`` trials of the same task, classifier, seed and rows per label. Real rows of
    several sizes are a comparison each. Failed trials are left out and the verdict says so. ``tolerance`` is the loss
    of macro-F1 (0 to 1) that would be accepted. p-values are corrected over all gaps (Holm).
    """
    groups = _groups(trials)
    baselines = {_baseline_key(trial): trial for trial in trials if trial.mode == BASELINE and trial.status == "ok"}
    with threadpool_limits(limits=1, user_api="blas"):  # small products: more threads only wait for each other
        compared = [_compare(group, baselines, store) for group in groups]
    corrected = iter(statistics.holm([item.gap.p for item in compared if item.gap]))
    return tuple(
        replace(
            item,
            gap=replace(item.gap, p_corrected=next(corrected)) if item.gap else None,
            verdict=_verdict(item, group, tolerance),
        )
        for item, group in zip(compared, groups, strict=True)
    )


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    groups: dict[Group, dict[int, Trial]] = {}
    for trial in trials:
        size = () if trial.generator else tuple(sorted(trial.label_counts.items()))
        key = trial.task, trial.mode, trial.generator, trial.classifier, size
        groups.setdefault(key, {}).setdefault(trial.seed, trial)
    return [[by_seed[seed] for seed in sorted(by_seed)] for by_seed in groups.values()]


def _baseline_key(trial: Trial) -> tuple[object, ...]:
    return trial.task, trial.classifier, trial.seed, tuple(sorted(trial.label_counts.items()))


def _compare(group: list[Trial], baselines: dict[tuple[object, ...], Trial], store: Store) -> Comparison:
    finished = [trial for trial in group if trial.status == "ok"]
    first = group[0]
    comparison = Comparison(
        task=first.task,
        mode=first.mode,
        generator=first.generator,
        classifier=first.classifier,
        seeds=tuple(trial.seed for trial in finished),
        macro_f1=None,
        accuracy=None,
        gap=None,
        verdict="",
        n_train=round(sum(trial.n_train for trial in group) / len(group)),
    )
    if not finished:
        return comparison
    sample = _sample(finished, store)
    pairs = [(trial, baselines.get(_baseline_key(trial))) for trial in finished if trial.mode != BASELINE]
    return replace(
        comparison,
        macro_f1=statistics.score_interval(sample, "macro_f1"),
        accuracy=statistics.score_interval(sample, "accuracy"),
        gap=_gap([(trial, real) for trial, real in pairs if real], store),
    )


def _gap(pairs: list[tuple[Trial, Trial]], store: Store) -> Gap | None:
    if not pairs:
        return None
    both = _sample([trial for pair in pairs for trial in pair], store)
    ours, theirs = (replace(both, predicted=both.predicted[side::2]) for side in (0, 1))
    return statistics.gap(ours, theirs)


def _sample(trials: Sequence[Trial], store: Store) -> Paired:
    """The predictions of the trials, a row each, on the test items they share, in one order."""
    predictions = [{p.item: p for p in read_predictions(store, trial.key)} for trial in trials]
    items = sorted(predictions[0])
    if any(sorted(other) != items for other in predictions):
        cells = ", ".join(trial.cell for trial in trials)
        raise ValueError(f"trials tested on different rows cannot be compared: {cells}")
    names = sorted(trials[0].label_counts)
    index = {name: i for i, name in enumerate(names)}
    return Paired(
        labels=np.array([index[predictions[0][item].label] for item in items]),
        predicted=np.array([[index[of[item].predicted] for item in items] for of in predictions]),
        classes=len(names),
    )


def _verdict(comparison: Comparison, group: list[Trial], tolerance: float) -> str:
    failed = [trial for trial in group if trial.status != "ok"]
    if comparison.macro_f1 is None:
        return f"no result: {_count(len(failed), 'trial')} failed: {failed[0].error}"
    parts = [_judge(comparison.gap, tolerance) if comparison.gap else _no_gap(comparison)]
    if len(comparison.seeds) == 1:
        parts.append("one seed: the interval leaves out the chance of training")
    if failed:
        parts.append(f"{len(failed)} of {_count(len(group), 'trial')} failed: {failed[0].error}")
    return "; ".join(parts)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _no_gap(comparison: Comparison) -> str:
    if comparison.mode == BASELINE:
        return "real labels: the baseline"
    if comparison.generator is None:
        return "real labels: a reference of its own size"
    return "no gap: no finished trial on real labels with as many rows per label and the same seed"


def _judge(gap: Gap, tolerance: float) -> str:
    """Where the interval lies: all above the accepted loss, all below, or astride it."""
    if gap.low > 0:
        return f"better than real labels by {_points(gap.mean)} ({_number(gap.low)} to {_number(gap.high)})"
    if gap.low >= -tolerance:
        return f"as good as real labels within {_points(tolerance)}"
    if gap.high < -tolerance:
        return f"loses {_points(-gap.mean)} ({_number(-gap.high)} to {_number(-gap.low)}): buy labels"
    could = f"lose {_number(-gap.high)} to {_points(-gap.low)}"
    if gap.high >= 0:
        could = f"lose {_points(-gap.low)} or win {_number(gap.high)}"
    return f"undecided: could {could}; more seeds or test rows needed"


def _number(score: float) -> str:
    """A difference of scores in points, without needless decimals."""
    points = 100 * score
    return f"{points:.0f}" if abs(points) >= 9.95 else f"{points:.1f}".removesuffix(".0")


def _points(score: float) -> str:
    number = _number(score)
    return f"{number} point" if number == "1" else f"{number} points"
