"""Diversity of a set of texts and its similarity to real texts. The store keeps them for each set.

Real rows are measured by the same code and at the same size as synthetic rows: a value of synthetic rows means
something only in comparison with that of real rows.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tasks.analysis.measures import diversity, embedding, similarity
from tasks.analysis.measures.embedding import embed
from tasks.analysis.measures.matching import REFERENCE_TEXTS, match, matched_texts, shuffled
from tasks.analysis.measures.sampling import Measured
from tasks.records import Example, Row, TaskData, content_key
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.embeddings import Encode
from tasks.training.hardware import precision

KIND = "descriptions"
VERSION = 3
"""Version of the measures, part of the key in the store. Raise it if a change of code changes a value."""
ERROR = "_error"
"""End of the name of a measure's standard error, which exists if the value is estimated from a sample."""

Measures = dict[str, float]


@dataclass(frozen=True)
class _Described:
    """The measures of a set of texts, as the store keeps them."""

    diversity: Measures
    similarity: Measures


def describe_synthesis(
    rows: Sequence[Example | Row],
    data: TaskData,
    rows_per_label: int,
    settings: Settings,
    *,
    encode: Encode | None = None,
) -> tuple[Measures, Measures]:
    """(diversity, similarity) of a synthesis's kept rows; ``rows_per_label`` is the requested number.

    Of each label, at most as many rows are measured as there are real rows to compare with (see ``matching``).
    """
    real = match(data, rows_per_label)
    return describe(matched_texts(rows, real.counts), real.reference, settings, encode=encode)


def describe_real(
    data: TaskData, rows_per_label: int, settings: Settings, *, encode: Encode | None = None
) -> tuple[Measures, Measures]:
    """(diversity, similarity) of the same number of real training rows, with the same reference as for syntheses."""
    real = match(data, rows_per_label)
    return describe(real.real, real.reference, settings, encode=encode)


def describe(
    texts_described: Sequence[str], texts_real: Sequence[str], settings: Settings, *, encode: Encode | None = None
) -> tuple[Measures, Measures]:
    """(diversity, similarity) by the name of the measure, with ``<name>_error`` if it was estimated from a sample.

    A measure that is undefined for so few texts is left out. At most about 1,000 real texts are used. The result comes
    from the store if the same texts were measured before. Raises ``RunError`` if embedding fails.
    """
    store = Store(settings.store_url)
    described, real = sorted(texts_described), sorted(shuffled(texts_real)[:REFERENCE_TEXTS])
    names = [*diversity.MEASURES, *similarity.MEASURES]
    key = content_key([VERSION, embedding.VERSION, precision(), names, described, real])
    found = store.record(KIND, key, _Described)
    if found is None:
        found = _measure(described, real, store, encode)
        store.put(KIND, key, asdict(found))
    store.touch(KIND, key)
    return found.diversity, found.similarity


def _measure(described: list[str], real: list[str], store: Store, encode: Encode | None) -> _Described:
    if not described:
        return _Described({}, {})
    ours = embed(described, store, encode=encode)
    spread = {name: measure(described, ours) for name, measure in diversity.MEASURES.items()}
    close = {}
    if real:
        theirs = embed(real, store, encode=encode)
        close = {name: measure(ours, theirs) for name, measure in similarity.MEASURES.items()}
    return _Described(_known(spread), _known(close))


def _known(measured: dict[str, Measured | None]) -> Measures:
    values: Measures = {}
    for name, found in measured.items():
        if found is not None:
            values[name] = round(found.value, 6)
            if found.error > 0:
                values[name + ERROR] = round(found.error, 6)
    return values
