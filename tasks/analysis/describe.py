"""Diversity of a set of generated texts and its similarity to real ones, once for each set."""

from collections.abc import Sequence

from tasks.analysis import diversity, similarity
from tasks.analysis.embedding import VERSION, Embed, embed, embed_in_worker
from tasks.records import content_key
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.hardware import precision

KIND = "descriptions"
REAL_TEXTS = 1000
"""Real texts that similarity is measured against: a fixed sample, because its mean over 1,000 texts is known to well
under 0.01 and embedding the rest costs minutes."""

Measures = dict[str, float]


def describe(
    texts_synthetic: Sequence[str], texts_real: Sequence[str], settings: Settings, *, encode: Embed = embed_in_worker
) -> tuple[Measures, Measures]:
    """(diversity, similarity) by the name of the measure; a measure that too few texts leave undefined is left out.

    Found in the store when the same texts were described before. Raises ``RunError`` when embedding fails.
    """
    store = Store(settings.store_url)
    synthetic, real = sorted(texts_synthetic), _sample(texts_real)
    names = [*diversity.MEASURES, *similarity.MEASURES]
    key = content_key([VERSION, precision(), names, synthetic, real])
    manifest = store.get(KIND, key)
    if manifest is None:
        manifest = _measure(synthetic, real, store, encode)
        store.put(KIND, key, manifest)
    return manifest["diversity"], manifest["similarity"]


def _sample(texts: Sequence[str]) -> list[str]:
    """The same texts whatever their order: those whose hashes come first."""
    return sorted(texts, key=lambda text: content_key(["describe", text]))[:REAL_TEXTS]


def _measure(synthetic: list[str], real: list[str], store: Store, encode: Embed) -> dict[str, Measures]:
    if not synthetic:
        return {"diversity": {}, "similarity": {}}
    ours = embed(synthetic, store, encode=encode)
    spread = {name: measure(synthetic, ours) for name, measure in diversity.MEASURES.items()}
    close = {}
    if real:
        theirs = embed(real, store, encode=encode)
        close = {name: measure(ours, theirs) for name, measure in similarity.MEASURES.items()}
    return {"diversity": _known(spread), "similarity": _known(close)}


def _known(values: dict[str, float | None]) -> Measures:
    return {name: round(value, 6) for name, value in values.items() if value is not None}
