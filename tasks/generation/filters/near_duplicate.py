"""Nearly the same text as one that was kept, whatever its label: MinHash LSH finds candidates, Jaccard decides.

Every text would otherwise be compared with every kept one. The measure is over character shingles, so a few changed
letters hurt a short text more than a long one: "ok lor" and "ok lah" share one shingle of seven.
"""

from pydantic import Field
from rensa import RMinHash, RMinHashLSH

from tasks.config import Frozen
from tasks.generation.filter import Check, Filter, FilterContext, cite, normalise, quote
from tasks.records import Row

SIZE = 5
"""Characters of a shingle, one space before and after the text included."""
HASHES = 125
"""Most hashes of a signature."""
MOST_ROWS, FOUND = 5, 0.98
"""Most hashes of a band, and the least share of pairs at the threshold that become candidates."""
SEED = 0
"""Of the hashes, so that a resumed synthesis ends with the same rows."""


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


def _build(context: FilterContext, jaccard: float) -> Check:
    bands, rows = bands_and_rows(jaccard)
    index = RMinHashLSH(threshold=jaccard, num_perm=bands * rows, num_bands=bands)
    read = 0

    def signature(parts: set[str]) -> RMinHash:
        made = RMinHash(num_perm=bands * rows, seed=SEED)
        made.update(parts)
        return made

    def check(row: Row) -> str | None:
        nonlocal read
        for number in range(read, len(context.kept)):
            index.insert(number, signature(shingles(context.kept[number].text)))
        read = len(context.kept)
        parts = shingles(row.text)
        near = [(similarity(parts, shingles(context.kept[i].text)), -i) for i in index.query(signature(parts))]
        likeness, number = max(near, default=(0.0, 0))  # of equals the first
        if likeness < jaccard:
            return None
        return f"{likeness:.0%} like {cite(context.kept[-number])}: {quote(context.kept[-number].text)}"

    return check


FILTER = Filter("near_duplicate", version=1, step="unique", build=_build, parameters=Parameters())
