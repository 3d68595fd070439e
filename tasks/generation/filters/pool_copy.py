"""A copy or near copy of a real text that prompts may show, or a text that contains such a text as a whole."""

from collections.abc import Iterator

from rapidfuzz import fuzz, process

from tasks.generation.filter import Check, Filter, FilterContext, normalise, quote
from tasks.records import Row

LIKENESS = 85.0
"""Least normalised edit similarity (rapidfuzz ratio, 0 to 100) that counts as a copy."""
LONG_ENOUGH = 5
"""Fewest words of a pool text that is searched for inside other texts; a shorter one could occur there by chance."""


def _build(context: FilterContext) -> Check:
    pool = {normalise(example.text): example.text for example in context.pool}
    plain_pool = list(pool)
    by_start: dict[str, list[str]] = {}
    for known in pool:
        for start in _runs(known.split()[:LONG_ENOUGH]):
            by_start.setdefault(start, []).append(known)

    def inside(plain: str) -> str | None:
        """A pool text that a text contains as a whole. Only pool texts whose first words occur are searched for."""
        padded = f" {plain} "
        starts = (by_start.get(run, ()) for run in _runs(plain.split()))
        return next((known for group in starts for known in group if f" {known} " in padded), None)

    def check(row: Row) -> str | None:
        plain = normalise(row.text)
        near = process.extractOne(plain, plain_pool, scorer=fuzz.ratio, score_cutoff=LIKENESS)
        if near:
            return f"{near[1]:.0f}% like pool text {quote(pool[near[0]])}"
        whole = inside(plain)
        return f"holds pool text {quote(pool[whole])}" if whole else None

    return check


def _runs(words: list[str]) -> Iterator[str]:
    return (" ".join(words[i : i + LONG_ENOUGH]) for i in range(len(words) - LONG_ENOUGH + 1))


FILTER = Filter("pool_copy", version=1, step="kept", build=_build)
