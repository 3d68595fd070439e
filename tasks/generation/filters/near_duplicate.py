"""Nearly the same text as one that was kept, whatever its label: MinHash LSH finds candidates, Jaccard decides.

Every text would otherwise be compared with every kept one. The measure is over character shingles, so a few changed
letters hurt a short text more than a long one: "ok lor" and "ok lah" share one shingle of seven.
"""

from rensa import RMinHash, RMinHashLSH

from tasks.generation.filter import Check, Filter, Scene, cite, normalise, quote
from tasks.records import Row

SIZE = 5
"""Characters of a shingle, one space before and after the text included."""
LIKENESS = 0.7
"""Least Jaccard similarity of shingle sets (0 to 1) that counts as near: one word of about ten replaced. Of real
training texts 0 to 0.5% are near duplicates of an earlier one, 1 to 2% of news and SMS, 7% of tweets with retweets."""
BANDS, ROWS = 25, 5
"""Of the signature. A pair of similarity s becomes a candidate at a chance of 1 - (1 - s^ROWS)^BANDS (Leskovec,
Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2): 99.0% at 0.7, 99.99% at 0.8, 0.03% at 0.1."""
SEED = 0
"""Of the permutations, so that a resumed synthesis ends with the same rows."""


def shingles(text: str) -> set[str]:
    """Every run of ``SIZE`` characters of a text's normal form; of the text itself where it has no normal form."""
    padded = f" {normalise(text) or text.strip()} "
    return {padded[i : i + SIZE] for i in range(max(1, len(padded) - SIZE + 1))}


def jaccard(one: set[str], other: set[str]) -> float:
    """Shared members of two sets as a share of all, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _signature(parts: set[str]) -> RMinHash:
    signature = RMinHash(num_perm=BANDS * ROWS, seed=SEED)
    signature.update(parts)
    return signature


def _build(scene: Scene) -> Check:
    index = RMinHashLSH(threshold=LIKENESS, num_perm=BANDS * ROWS, num_bands=BANDS)
    read = 0

    def check(row: Row) -> str | None:
        nonlocal read
        for number in range(read, len(scene.kept)):
            index.insert(number, _signature(shingles(scene.kept[number].text)))
        read = len(scene.kept)
        parts = shingles(row.text)
        near = [(jaccard(parts, shingles(scene.kept[i].text)), -i) for i in index.query(_signature(parts))]
        likeness, number = max(near, default=(0.0, 0))  # of equals the first
        if likeness < LIKENESS:
            return None
        return f"{likeness:.0%} like {cite(scene.kept[-number])}: {quote(scene.kept[-number].text)}"

    return check


FILTER = Filter("near_duplicate", version=1, step="unique", build=_build)
