"""Nearly the same text as one that was kept, whatever its label: MinHash LSH finds candidates, Jaccard decides.

Every text would otherwise be compared with every kept one. The measure is over character shingles, so a few changed
letters hurt a short text more than a long one: "ok lor" and "ok lah" share one shingle of seven.

Two limits hold where very many kept texts are alike, as with texts of one template: of one band's rows the first 20,000
are looked at, and a text is compared with at most 1,000, those whose signatures are most like its own. A text that is
near to others alone is kept.
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
"""Characters of a shingle, one space before and after the text included."""
HASHES = 125
"""Most hashes of a signature."""
MOST_ROWS, FOUND = 5, 0.98
"""Most hashes of a band, and the least share of pairs at the threshold that become candidates."""
SEED = 0
"""Of the hashes, so that a resumed synthesis ends with the same rows."""
MOST_FOUND = 20_000
"""Kept rows whose signatures are compared for one band, the first ones, where more share it."""
MOST_COMPARED = 1_000
"""Kept texts that a text is compared with, those of the most similar signatures, where more are similar enough: without
this and the limit above, texts of one template would take the square of their number."""


class Parameters(Frozen):
    """What a study may change."""

    jaccard: float = Field(default=0.7, ge=0.3, le=1)
    """Least Jaccard similarity of shingle sets that counts as near. At 0.7 one word of about ten is replaced: of real
    training texts 0 to 0.5% are near duplicates of an earlier one, 1 to 2% of news and SMS, 7% of tweets with
    retweets."""


def bands_and_rows(similarity: float) -> tuple[int, int]:
    """Bands of a signature and hashes of each band, so that pairs of a similarity are found.

    A pair of similarity s becomes a candidate at a chance of 1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman,
    Mining of Massive Datasets, section 3.4.2): with 25 bands of 5 rows 99.0% at 0.7, 99.99% at 0.8, 0.03% at 0.1.
    """
    return next(
        (HASHES // rows, rows)
        for rows in range(MOST_ROWS, 0, -1)
        if 1 - (1 - similarity**rows) ** (HASHES // rows) >= FOUND
    )


def shingles(text: str) -> set[str]:
    """Every run of ``SIZE`` characters of a text's normal form; of the text itself where it has no normal form."""
    padded = f" {normalise(text) or text.strip()} "
    return {padded[i : i + SIZE] for i in range(max(1, len(padded) - SIZE + 1))}


def similarity(one: set[str], other: set[str]) -> float:
    """Jaccard similarity of two sets: shared members as a share of all, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def least_agreement(similarity: float, hashes: int) -> int:
    """Hashes that the signatures of two texts of at least that similarity have in common, but for one pair in 10^11.

    Each hash agrees at a chance of the similarity (Broder 1997), so their number is binomial: seven standard deviations
    below its mean.
    """
    return math.floor(similarity * hashes - 7 * math.sqrt(similarity * (1 - similarity) * hashes))


class _Signatures:
    """The signatures of kept rows, a byte of each hash: what has too few of them in common need not be read."""

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
        """Note the next kept row's."""
        import numpy as np

        if number >= len(self._bytes):
            self._bytes.resize((max(1024, number * 5 // 4), self._hashes), refcheck=False)  # in place where it can be
        self._bytes[number] = signature.astype(np.uint8)
        self._index.add(number, self._banded(signature))

    def near(self, signature: "np.ndarray") -> list[int]:
        """Kept rows that share a band and enough hashes, those of the most similar signatures first."""
        import numpy as np

        found = np.array(self._index.find(self._banded(signature)), dtype=np.int64)
        if not len(found):
            return []
        shared = (self._bytes[found] == signature.astype(np.uint8)).sum(axis=1)
        enough = shared >= self._least
        order = np.argsort(-shared[enough], kind="stable")[:MOST_COMPARED]
        return [int(number) for number in found[enough][order]]

    def _banded(self, signature: "np.ndarray") -> list[int]:
        """A hash of each band: sums of products with random odd numbers, whose upper bits are universal (Dietzfelbinger
        1996).
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
        likeness, number = max(near, default=(0.0, 0))  # of equals the first
        if likeness < jaccard:
            return None
        kept = context.kept[-number]
        return f"{likeness:.0%} like {cite(kept)}: {quote(kept.text)}"

    return check


FILTER = Filter("near_duplicate", version=1, step="unique", build=_build, parameters=Parameters())
