"""The comparison of each arm: its scores, its gap to real rows, and whether it is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from tasks.analysis.decisions.verdict import FEWEST_ROWS, Facts, good_enough, verdict
from tasks.analysis.matched_real import Pair, find_real
from tasks.analysis.predictions import Predictions, label_names, shared_items
from tasks.analysis.statistics import paired
from tasks.analysis.statistics.paired import Aligned
from tasks.modes import mode_facts
from tasks.phrases import count
from tasks.progress import counted
from tasks.records import Comparison, Trial, by_arm
from tasks.store import Store


@dataclass(frozen=True)
class Compared:
    """A comparison before its p-value is corrected, with the facts for its verdict."""

    comparison: Comparison
    facts: Facts


def compare(trials: Sequence[Trial], store: Store, tolerance: float) -> tuple[Comparison, ...]:
    """One comparison for each arm, in the order of the trials.

    ``tasks.analysis.matched_real`` decides which real trials an arm is compared with. Failed trials are left out, and
    the verdict states them. ``tolerance`` is the acceptable loss of macro-F1 (0 to 1). p-values are corrected over all
    gaps (Holm). Raises ``ValueError`` if two trained classifiers were tested on different rows, ``RunError`` if
    predictions are gone or damaged.
    """
    real, predictions = find_real(trials), Predictions(store)
    with threadpool_limits(limits=1, user_api="blas"):  # the matrices are small: more threads would be slower
        arms = by_arm(trials).values()
        found = [
            _compare(group, real.pairs(group), predictions, tolerance)
            for group in counted(arms, len(arms), "comparing arms")
        ]
    corrected = iter(paired.holm([item.comparison.gap.p for item in found if item.comparison.gap]))
    concluded = []
    for item in found:
        gap = item.comparison.gap
        gap = gap and replace(gap, p_corrected=next(corrected))
        comparison = replace(item.comparison, gap=gap, good_enough=good_enough(gap, tolerance))
        concluded.append(replace(comparison, verdict=verdict(comparison, item.facts, tolerance)))
    return tuple(concluded)


def _compare(group: list[Trial], pairs: list[Pair], predictions: Predictions, tolerance: float) -> Compared:
    finished = [trial for trial in group if trial.status == "ok"]
    failed = [trial for trial in group if trial.status != "ok"]
    comparison = Comparison(
        arm=group[0].arm,
        seeds=tuple(trial.seed for trial in finished),
        macro_f1=None,
        accuracy=None,
        gap=None,
        good_enough="none",
        verdict="",
        n_train=round(sum(trial.n_train for trial in group) / len(group)),
    )
    facts = Facts(trials=len(group), failed=len(failed), error=failed[0].error or "unknown" if failed else "")
    if not finished:
        return Compared(comparison, facts)
    [sample], single = _samples([finished], predictions)
    comparison = replace(
        comparison,
        macro_f1=paired.score_interval(sample, "macro_f1"),
        accuracy=paired.score_interval(sample, "accuracy"),
        cost_usd_per_1000=_mean([t.cost_usd and t.cost_usd / t.n_test * 1000 for t in finished]),
        latency_s=_mean([trial.latency_s for trial in finished]),
    )
    facts = replace(facts, rows=len(sample.labels), single=single)
    compared = Compared(comparison, facts)
    return _with_gap(compared, pairs, predictions, tolerance) if pairs else compared


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _with_gap(found: Compared, pairs: list[Pair], predictions: Predictions, tolerance: float) -> Compared:
    """The comparison with the gap of the pairs on the test rows that all have; without a gap if these are too few."""
    arm = found.comparison.arm
    (ours, theirs), single = _samples(list(zip(*pairs, strict=True)), predictions, shared=not arm.trained)
    rows, all_rows = len(ours.labels), len(predictions.of(pairs[0][1].key).items)
    facts = replace(found.facts, paired_rows=rows, all_rows=all_rows, single=single, real_trials=len(pairs))
    if rows < FEWEST_ROWS:
        return Compared(found.comparison, facts)
    rows = round(sum(trial.n_train for _, trial in pairs) / len(pairs))
    against = f"{pairs[0][1].classifier} trained on {count(rows, 'real row')}"
    comparison = replace(found.comparison, gap=paired.gap(ours, theirs, tolerance), against=against)
    on_purpose = arm.trained and mode_facts(arm.mode).compared_to == "the study's real rows"
    other_size = on_purpose and comparison.n_train != rows
    return Compared(comparison, replace(facts, real_rows=rows if other_size else None))


def _samples(
    groups: Sequence[Sequence[Trial]], predictions: Predictions, shared: bool = False
) -> tuple[list[Aligned], tuple[str, ...]]:
    """The predictions of each group of trials on the same test items, and the labels with only one test item.

    With ``shared``, these are the items that all trials have. Without it, all trials must have the same items.
    """
    trials = [trial for group in groups for trial in group]
    answers = [predictions.of(trial.key) for trial in trials]
    items = shared_items(answers)
    if not shared and any(len(of.items) != len(items) for of in answers):
        cells = ", ".join(trial.cell for trial in trials)
        raise ValueError(f"trials tested on different rows cannot be compared: {cells}")
    names = label_names(answers, trials[0].label_counts)
    samples = [predictions.sample(tuple(trial.key for trial in group), items, names) for group in groups]
    tested = np.bincount(samples[0].labels, minlength=len(names))
    return samples, tuple(name for name, n in zip(names, tested, strict=True) if n == 1)
