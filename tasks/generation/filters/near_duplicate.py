"""A text that is nearly the same as a kept one of any label: MinHash LSH finds candidates, Jaccard similarity decides.

Without LSH, every text would be compared with every kept one. The similarity is that of sets of character shingles, so
a few changed letters matter more in a short text than in a long one: "ok lor" and "ok lah" share one shingle of seven.

Two limits apply if very many kept texts are similar, such as texts of one template: for each band only its first 20,000
rows are candidates, and a text is compared with at most 1,000 texts, those with the most similar signatures. A text
that is similar only to other texts is kept.
"""

import math
from typing import TYPE_CHECKING

from pydantic import Field
from rensa import RMinHash

from tasks.config import Frozen
from tasks.generation.filter import Check, Filter, FilterContext, cite, normalise, quote
from tasks.generation.hash_index import HashIndex
from tasks.records import Row

if TYPE_CHECKING:
    import numpy as np

SIZE = 5
"""Characters of a shingle. Shingles include one space before and one after the text."""
HASHES = 125
"""Most hashes of a signature."""
MOST_ROWS, FOUND = 5, 0.98
"""Most hashes of a band, and the least share of pairs at the threshold that become candidates."""
SEED = 0
"""Seed of the hashes, fixed so that a resumed synthesis has the same rows."""
MOST_FOUND = 20_000
"""Most kept rows that are candidates because of one band; if more share it, the first ones."""
MOST_COMPARED = 1_000
"""Most kept texts that a text is compared with; if more are similar enough, those with the most similar signatures.
Without this and the limit above, the time for texts of one template would grow with the square of their number."""


class Parameters(Frozen):
    """What a study may change."""

    jaccard: float = Field(default=0.7, ge=0.3, le=1)
    """Least Jaccard similarity of shingle sets at which a text is rejected. 0.7 means about one replaced word in ten.
    At 0.7, 0 to 0.5% of real training texts are near duplicates of an earlier one, 1 to 2% of news and SMS, 7% of
    tweets with retweets."""


def bands_and_rows(similarity: float) -> tuple[int, int]:
    """Number of bands of a signature and of hashes in a band, such that pairs of a similarity are found.

    A pair of similarity s becomes a candidate with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman,
    Mining of Massive Datasets, section 3.4.2): with 25 bands of 5 rows 99.0% at 0.7, 99.99% at 0.8, 0.03% at 0.1.
    """
    return next(
        (HASHES // rows, rows)
        for rows in range(MOST_ROWS, 0, -1)
        if 1 - (1 - similarity**rows) ** (HASHES // rows) >= FOUND
    )


def shingles(text: str) -> set[str]:
    """All substrings of ``SIZE`` characters of a normalised text; of the text itself if it has no letters or digits."""
    padded = f" {normalise(text) or text.strip()} "
    return {padded[i : i + SIZE] for i in range(max(1, len(padded) - SIZE + 1))}


def similarity(one: set[str], other: set[str]) -> float:
    """Jaccard similarity of two sets: the size of the intersection divided by that of the union, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def least_agreement(similarity: float, hashes: int) -> int:
    """Least number of equal hashes in the signatures of two texts of at least that similarity, except for one pair in
    10^11.

    The probability that a hash agrees is the similarity (Broder 1997), so the number of equal hashes is binomial. The
    result is seven standard deviations below its mean.
    """
    return math.floor(similarity * hashes - 7 * math.sqrt(similarity * (1 - similarity) * hashes))


class _Signatures:
    """The signatures of kept rows, with one byte of each hash. Rows with too few equal bytes need not be read."""

    def __init__(self, jaccard: float) -> None:
        import numpy as np  # not above: it would slow down a plan

        self.bands, self.rows = bands_and_rows(jaccard)
        self._hashes = self.bands * self.rows
        self._least = least_agreement(jaccard, self._hashes)
        self._index = HashIndex(MOST_FOUND)
        self._bytes = np.empty((0, self._hashes), dtype=np.uint8)
        self._factors = np.random.default_rng(SEED).integers(1, 2**63, self._hashes, dtype=np.uint64) * np.uint64(2)
        self._factors += np.uint64(1)

    def of(self, parts: set[str]) -> "np.ndarray":
        """The signature of a text's shingles, shape (hashes,), uint64."""
        import numpy as np

        made = RMinHash(num_perm=self._hashes, seed=SEED)
        made.update(parts)
        return np.array(made.digest(), dtype=np.uint64)

    def add(self, number: int, signature: "np.ndarray") -> None:
        """Add the signature of the next kept row."""
        import numpy as np

        if number >= len(self._bytes):
            self._bytes.resize((max(1024, number * 5 // 4), self._hashes), refcheck=False)  # in place if possible
        self._bytes[number] = signature.astype(np.uint8)
        self._index.add(number, self._banded(signature))

    def near(self, signature: "np.ndarray") -> list[int]:
        """Kept rows that share a band and enough hashes, those with the most similar signatures first."""
        import numpy as np

        found = np.array(self._index.find(self._banded(signature)), dtype=np.int64)
        if not len(found):
            return []
        shared = (self._bytes[found] == signature.astype(np.uint8)).sum(axis=1)
        enough = shared >= self._least
        order = np.argsort(-shared[enough], kind="stable")[:MOST_COMPARED]
        return [int(number) for number in found[enough][order]]

    def _banded(self, signature: "np.ndarray") -> list[int]:
        """A hash of each band: the sum of products with random odd numbers. Its upper bits are a universal hash
        (Dietzfelbinger 1996).
        """
        hashes: list[int] = (signature * self._factors).reshape(self.bands, self.rows).sum(axis=1).tolist()
        return hashes


def _build(context: FilterContext, jaccard: float) -> Check:
    signatures, read = _Signatures(jaccard), 0

    def check(row: Row) -> str | None:
        nonlocal read
        for number in range(read, len(context.kept)):
            signatures.add(number, signatures.of(shingles(context.kept[number].text)))
        read = len(context.kept)
        parts = shingles(row.text)
        candidates = signatures.near(signatures.of(parts))
        near = ((similarity(parts, shingles(context.kept[i].text)), -i) for i in candidates)
        likeness, number = max(near, default=(0.0, 0))  # of equal ones the first
        if likeness < jaccard:
            return None
        kept = context.kept[-number]
        return f"{likeness:.0%} like {cite(kept)}: {quote(kept.text)}"

    return check


FILTER = Filter("near_duplicate", version=1, step="unique", build=_build, parameters=Parameters())
