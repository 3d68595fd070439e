"""An index of kept rows by hash. It takes eight bytes for each hash, and look-ups stay fast as it grows.

A Python dictionary takes twenty times as much memory, and a text has one hash for each band of its signature. So only
the newest hashes are in a dictionary. The others are in sorted arrays of numbers, each of which combines a hash and its
row. An array is merged with the one before it when that is not larger.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ROW_BITS = 28
"""Lower bits of a number, which are the row; the upper 36 bits are the upper bits of a hash. A look-up may also find
rows whose hashes differ only in the lower bits, so callers must compare the texts. Among a million rows this happens in
a few of a thousand look-ups."""
MOST_ROWS = 2**ROW_BITS
NEWEST = 2**16
"""Most hashes in the dictionary, about 15 MB."""
LARGEST = 2**23
"""Most hashes in an array after a merge: 64 MB. A merge needs the same memory again."""


class HashIndex:
    """Rows by their hashes.

    ``most`` is the greatest number of rows to return for one hash (the first ones), ``newest`` the greatest number of
    hashes in the dictionary.
    """

    def __init__(self, most: int, newest: int = NEWEST) -> None:
        self._most, self._most_waiting = most, newest
        self._newest: dict[int, list[int]] = {}
        self._waiting = 0
        self._arrays: list[np.ndarray] = []

    def add(self, row: int, hashes: Sequence[int]) -> None:
        """Add the hashes (0 to 2^64) of a row. Rows must come in rising order. Raises ``OverflowError`` for row
        ``MOST_ROWS`` and later ones.
        """
        if row >= MOST_ROWS:
            raise OverflowError(f"row {row} of at most {MOST_ROWS}")
        for value in hashes:
            self._newest.setdefault(value >> ROW_BITS, []).append(row)
        self._waiting += len(hashes)
        if self._waiting >= self._most_waiting:
            self._sort_newest()

    def find(self, hashes: Sequence[int]) -> list[int]:
        """Rows that have one of the hashes, in rising order and without repetition."""
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
