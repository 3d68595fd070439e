"""What a study's trials say: each cell group's scores, its gap to real labels, and a verdict in plain words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from threadpoolctl import threadpool_limits

from tasks.analysis.baseline import OF_OWN_SIZE, UNTRAINED, Pair, find_baselines, size_of
from tasks.analysis.decisions.verdict import FEWEST_ROWS, Facts, count, verdict
from tasks.analysis.statistics import paired
from tasks.analysis.statistics.paired import Paired
from tasks.records import Comparison, Trial
from tasks.store import Store
from tasks.training.trial import needed_predictions

Group = tuple[str, str, str | None, str, tuple[tuple[str, int], ...]]
Answers = Mapping[str, tuple[str, str]]
"""Test item to its real and its predicted label."""
Read = Callable[[str], Answers]


@dataclass(frozen=True)
class Compared:
    """A comparison before its p-value is corrected, with what its verdict needs to know."""

    comparison: Comparison
    facts: Facts


def compare(trials: Sequence[Trial], store: Store, tolerance: float) -> tuple[Comparison, ...]:
    """One comparison a (task, mode, generator, classifier), in the order of the trials.

    ``tasks.analysis.baseline`` says which real trials a mode is compared with. Real rows of several sizes are a
    comparison each. Failed trials are left out and the verdict says so. ``tolerance`` is the loss of macro-F1 (0 to
    1) that would be accepted. p-values are corrected over all gaps (Holm). Raises ``ValueError`` where trained
    classifiers to be compared were tested on different rows, ``RunError`` where predictions are gone or damaged.
    """
    baselines = find_baselines(trials)
    read = lru_cache(maxsize=64)(lambda key: {p.item: (p.label, p.predicted) for p in needed_predictions(store, key)})
    with threadpool_limits(limits=1, user_api="blas"):  # small products: more threads only wait for each other
        found = [_compare(group, baselines.pairs(group), read, tolerance) for group in _groups(trials)]
    corrected = iter(paired.holm([item.comparison.gap.p for item in found if item.comparison.gap]))
    return tuple(_conclude(item, corrected.__next__, tolerance) for item in found)


def _conclude(found: Compared, corrected: Callable[[], float], tolerance: float) -> Comparison:
    gap = found.comparison.gap
    comparison = replace(found.comparison, gap=replace(gap, p_corrected=corrected()) if gap else None)
    return replace(comparison, verdict=verdict(comparison, found.facts, tolerance))


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    groups: dict[Group, dict[int, Trial]] = {}
    for trial in trials:
        size = () if trial.generator else size_of(trial)
        key = trial.task, trial.mode, trial.generator, trial.classifier, size
        groups.setdefault(key, {}).setdefault(trial.seed, trial)
    return [[by_seed[seed] for seed in sorted(by_seed)] for by_seed in groups.values()]


def _compare(group: list[Trial], pairs: list[Pair], read: Read, tolerance: float) -> Compared:
    finished = [trial for trial in group if trial.status == "ok"]
    failed = [trial for trial in group if trial.status != "ok"]
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
    facts = Facts(trials=len(group), failed=len(failed), error=failed[0].error or "unknown" if failed else "")
    if not finished:
        return Compared(comparison, facts)
    sample, single = _sample(finished, read)
    comparison = replace(
        comparison,
        macro_f1=paired.score_interval(sample, "macro_f1"),
        accuracy=paired.score_interval(sample, "accuracy"),
        cost_usd_per_1000=_mean([t.cost_usd and t.cost_usd / t.n_test * 1000 for t in finished]),
        latency_s=_mean([trial.latency_s for trial in finished]),
    )
    facts = replace(facts, rows=len(sample.labels), single=single)
    return _with_gap(Compared(comparison, facts), pairs, read, tolerance) if pairs else Compared(comparison, facts)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _with_gap(found: Compared, pairs: list[Pair], read: Read, tolerance: float) -> Compared:
    """The gap of the pairs on the test rows that all have; without one where these are too few."""
    untrained = found.comparison.mode in UNTRAINED
    both, single = _sample([trial for pair in pairs for trial in pair], read, shared=untrained)
    all_rows = len(read(pairs[0][1].key))
    facts = replace(found.facts, paired_rows=len(both.labels), all_rows=all_rows, single=single, baselines=len(pairs))
    if len(both.labels) < FEWEST_ROWS:
        return Compared(found.comparison, facts)
    ours, theirs = (replace(both, predicted=both.predicted[side::2]) for side in (0, 1))
    real = pairs[0][1]
    rows = round(sum(trial.n_train for _, trial in pairs) / len(pairs))
    against = f"{real.classifier} trained on {count(rows, 'real row')}"
    comparison = replace(found.comparison, gap=paired.gap(ours, theirs, tolerance), against=against)
    own_size = comparison.mode in OF_OWN_SIZE and comparison.n_train != rows
    return Compared(comparison, replace(facts, baseline_rows=rows if own_size else None))


def _sample(trials: Sequence[Trial], read: Read, shared: bool = False) -> tuple[Paired, tuple[str, ...]]:
    """The predictions of the trials, a row each, on one set of test items in one order, and labels that one item has.

    ``shared`` takes the items that all trials have; otherwise all must have the same.
    """
    answers = [read(trial.key) for trial in trials]
    items = sorted(set(answers[0]).intersection(*answers[1:]))
    if not shared and any(len(of) != len(items) for of in answers):
        cells = ", ".join(trial.cell for trial in trials)
        raise ValueError(f"trials tested on different rows cannot be compared: {cells}")
    labels = [answers[0][item][0] for item in items]
    predicted = [[of[item][1] for item in items] for of in answers]
    names = sorted({*labels, *(name for row in predicted for name in row), *trials[0].label_counts})
    index = {name: i for i, name in enumerate(names)}
    sample = Paired(
        labels=np.array([index[label] for label in labels], dtype=np.intp),
        predicted=np.array([[index[name] for name in row] for row in predicted], dtype=np.intp),
        classes=len(names),
    )
    return sample, tuple(name for name in names if labels.count(name) == 1)
