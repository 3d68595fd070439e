"""A copy or near copy of a real text that prompts may show, or one with a whole such text inside."""

from rapidfuzz import fuzz, process

from tasks.synthesis.filter import Check, Filter, Scene, normalise, quote

LIKENESS = 85.0
"""Least normalised edit similarity (rapidfuzz ratio, 0 to 100) that counts as a copy."""
LONG_ENOUGH = 5
"""Words of a pool text from which finding it whole inside another is no accident."""


def _build(scene: Scene) -> Check:
    pool = {normalise(example.text): example.text for example in scene.pool}
    long = {text for text in pool if len(text.split()) >= LONG_ENOUGH}

    def check(text: str) -> str | None:
        plain = normalise(text)
        near = process.extractOne(plain, pool.keys(), scorer=fuzz.ratio, score_cutoff=LIKENESS)
        if near:
            return f"{near[1]:.0f}% like pool text {quote(pool[near[0]])}"
        whole = next((known for known in long if f" {known} " in f" {plain} "), None)
        return f"holds pool text {quote(pool[whole])}" if whole else None

    return check


FILTER = Filter("pool_copy", version=1, step="kept", build=_build)
