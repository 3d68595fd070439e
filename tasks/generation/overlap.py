"""How many members a bag shares with each of many bags, at once: a bound that makes most exact comparisons unnecessary.

Two texts cannot be more alike than what they are made of, in whatever order it stands. Counting that by an inverted
index takes as long as there are common members; aligning two texts takes the product of their lengths.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class Overlap:
    """Bags to compare with, in their order."""

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
        """Members that a bag shares with each of the bags, shape (bags,), int.

        One that stands in both several times is shared as often as in both.
        """
        import numpy as np

        found = [self._holders[member] for member in _numbered(bag) if member in self._holders]
        if not found:
            return np.zeros(len(self.sizes), dtype=np.int64)
        return np.bincount(np.concatenate(found), minlength=len(self.sizes))


def _numbered(bag: Iterable[Hashable]) -> Iterator[tuple[Hashable, int]]:
    """Members told apart by how often they came before, so that a bag becomes a set."""
    seen: defaultdict[Hashable, int] = defaultdict(int)
    for member in bag:
        yield member, seen[member]
        seen[member] += 1
