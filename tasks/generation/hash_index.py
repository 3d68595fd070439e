"""Which kept rows have a hash: eight bytes for each, and a look-up takes hardly longer the more there are.

A Python dictionary takes twenty times as much, and a text has as many hashes as its signature has bands. So the newest
are in a dictionary, and the others in sorted arrays of numbers that hold a hash and its row; an array is merged with
the one before it once both are of one size.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ROW_BITS = 28
"""Bits of a number that hold a row; the upper 36 hold the upper bits of a hash. Rows whose hashes are alike in these
are found for each other by chance, for a few in a thousand look-ups among a million rows: callers compare texts."""
MOST_ROWS = 2**ROW_BITS
NEWEST = 2**16
"""Hashes in the dictionary, which take some 15 MB."""
LARGEST = 2**23
"""Hashes of an array that is not merged any more, because that takes its own size again: 64 MB."""


class HashIndex:
    """Rows by their hashes.

    ``most`` is the number of rows that are found for one hash, the first ones; ``newest`` the number of hashes in the
    dictionary.
    """

    def __init__(self, most: int, newest: int = NEWEST) -> None:
        self._most, self._most_waiting = most, newest
        self._newest: dict[int, list[int]] = {}
        self._waiting = 0
        self._arrays: list[np.ndarray] = []

    def add(self, row: int, hashes: Sequence[int]) -> None:
        """Note the hashes (0 to 2^64) of a row; rows come in rising order. Raises ``OverflowError`` for too many."""
        if row >= MOST_ROWS:
            raise OverflowError(f"row {row} of at most {MOST_ROWS}")
        for value in hashes:
            self._newest.setdefault(value >> ROW_BITS, []).append(row)
        self._waiting += len(hashes)
        if self._waiting >= self._most_waiting:
            self._sort_newest()

    def find(self, hashes: Sequence[int]) -> list[int]:
        """Rows that have one of the hashes, rising, each once."""
        import numpy as np  # not above: it would slow down a plan

        uppers = sorted({value >> ROW_BITS for value in hashes})
        found: set[int] = set()
        if self._arrays:
            lowest = np.array(uppers, dtype=np.uint64) << np.uint64(ROW_BITS)
            for array in self._arrays:
                starts = array.searchsorted(lowest)
                ends = array.searchsorted(lowest | np.uint64(MOST_ROWS - 1), side="right")
                for i in (starts < ends).nonzero()[0]:
                    rows = array[starts[i] : min(ends[i], starts[i] + self._most)] & np.uint64(MOST_ROWS - 1)
                    found.update(rows.tolist())
        for upper in uppers:
            found.update(self._newest.get(upper, ())[: self._most])
        return sorted(found)

    def _sort_newest(self) -> None:
        import numpy as np

        numbers = ((upper << ROW_BITS) | row for upper, rows in self._newest.items() for row in rows)
        array = np.sort(np.fromiter(numbers, dtype=np.uint64, count=self._waiting))
        while self._arrays and len(self._arrays[-1]) <= len(array) <= LARGEST // 2:
            array = np.concatenate([self._arrays.pop(), array])
            array.sort(kind="stable")  # merges sorted parts
        self._arrays.append(array)
        self._newest, self._waiting = {}, 0
