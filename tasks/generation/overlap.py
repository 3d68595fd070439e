"""Number of members that a bag (multiset) shares with each of many bags.

The members that two texts share, in any order, are an upper bound of their similarity, so most exact comparisons are
unnecessary. Counting them with an inverted index takes time proportional to the number of shared members. Aligning two
texts takes time proportional to the product of their lengths.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class Overlap:
    """An inverted index of bags, in a fixed order."""

    def __init__(self, bags: Iterable[Iterable[Hashable]]) -> None:
        import numpy as np  # not above: it would slow down a plan

        holders: defaultdict[Hashable, list[int]] = defaultdict(list)
        sizes: list[int] = []
        for number, bag in enumerate(bags):
            members = list(_numbered(bag))
            sizes.append(len(members))
            for member in members:
                holders[member].append(number)
        self.sizes = np.array(sizes, dtype=np.int64)
        """Members of each bag, shape (bags,)."""
        self._holders = {member: np.array(numbers) for member, numbers in holders.items()}

    def shared(self, bag: Iterable[Hashable]) -> "np.ndarray":
        """Number of members that a bag shares with each of the bags, shape (bags,), int.

        A repeated member counts as often as it occurs in both.
        """
        import numpy as np

        found = [self._holders[member] for member in _numbered(bag) if member in self._holders]
        if not found:
            return np.zeros(len(self.sizes), dtype=np.int64)
        return np.bincount(np.concatenate(found), minlength=len(self.sizes))


def _numbered(bag: Iterable[Hashable]) -> Iterator[tuple[Hashable, int]]:
    """Each member with the number of its earlier occurrences, so that a bag becomes a set."""
    seen: defaultdict[Hashable, int] = defaultdict(int)
    for member in bag:
        yield member, seen[member]
        seen[member] += 1
