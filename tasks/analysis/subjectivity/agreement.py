"""How much raters agree: on one item (Li et al. 2023, instance subjectivity) and over all items.

A statistic that is undefined for the given votes is null, never 0 or 1. One vote shows no agreement, and if all votes
name the same label, the agreement by chance is perfect too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.records import Example, Rating
from tasks.training.trial import item_key

MIN_VOTES = 2
"""Fewest votes on an item: one rater alone cannot agree or disagree."""

Agreement = Mapping[str, float]
"""Item to the share of its raters who chose the most frequent label."""
Votes = Mapping[str, Mapping[str, int]]
"""For each item, how many raters chose each label; items with at least ``MIN_VOTES`` votes."""


def rater_agreement(examples: Iterable[Example]) -> dict[str, float]:
    """Agreement by ``item_key``, for the examples whose data states it."""
    return {item_key(row.text): row.agreement for row in examples if row.agreement is not None}


def count_votes(ratings: Iterable[Rating]) -> dict[str, dict[str, int]]:
    """Votes by item, sorted. Only a rater's last vote on an item counts. Items with one vote are left out."""
    last = {(rating.item, rating.rater): rating.label for rating in ratings}
    votes: dict[str, Counter[str]] = {}
    for (item, _), label in last.items():
        votes.setdefault(item, Counter())[label] += 1
    return {item: dict(votes[item]) for item in sorted(votes) if votes[item].total() >= MIN_VOTES}


def vote_agreement(votes: Votes) -> dict[str, float]:
    """a_i = max_y sum_k 1(r_ik = y) / K_i of each item, between 1 / K_i and 1 (Li et al. 2023)."""
    return {item: max(counts.values()) / sum(counts.values()) for item, counts in votes.items()}


def item_agreement(
    tasks: Iterable[str], agreement: Mapping[str, Agreement], ratings: Mapping[str, Sequence[Rating]]
) -> dict[str, Agreement]:
    """By task, the ``agreement`` of the data's raters, or that of the annotators' ``ratings`` if it has no raters."""
    return {task: agreement.get(task) or vote_agreement(count_votes(ratings.get(task, ()))) for task in tasks}


def krippendorff_alpha(votes: Votes) -> float | None:
    """Krippendorff's alpha for nominal labels; items may have different numbers of votes.

    It is 1 - observed / expected disagreement. Observed: between pairs of votes on one item, where an item's weight is
    its number of votes. Expected: between all pairs of votes (Krippendorff 2011, Computing Krippendorff's
    Alpha-Reliability). 1 is perfect agreement, 0 the agreement by chance. Null if all votes name the same label. It is
    written here because the package ``krippendorff`` has the licence GPL.
    """
    table = _table(votes).astype(np.float64)
    if table.shape[1] < 2:
        return None
    by_item, by_label = table.sum(1), table.sum(0)
    total = by_item.sum()
    observed = ((by_item**2 - (table**2).sum(1)) / (by_item - 1)).sum() / total
    expected = (total**2 - (by_label**2).sum()) / (total * (total - 1))
    return float(1 - observed / expected)


def fleiss_kappa(votes: Votes) -> tuple[float | None, int]:
    """Fleiss' kappa (1971), and the number of items that it leaves out.

    Kappa needs the same number of votes on each item. Only the items with the most frequent number of votes count; if
    two numbers are equally frequent, the larger one. Null if their votes name fewer than two labels.
    """
    if not votes:
        return None, 0
    sizes = Counter(sum(counts.values()) for counts in votes.values())
    size = max(sizes, key=lambda k: (sizes[k], k))
    table = _table({item: counts for item, counts in votes.items() if sum(counts.values()) == size})
    left_out = len(votes) - len(table)
    if table.shape[1] < 2:
        return None, left_out
    from statsmodels.stats import inter_rater

    return float(inter_rater.fleiss_kappa(table)), left_out


def _table(votes: Votes) -> NDArray[np.intp]:
    """Counts of votes, (items, labels), for the labels that at least one rater chose."""
    labels = sorted({label for counts in votes.values() for label in counts})
    return np.array([[counts.get(label, 0) for label in labels] for counts in votes.values()], np.intp).reshape(
        len(votes), len(labels)
    )
