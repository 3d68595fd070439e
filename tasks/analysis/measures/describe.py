"""Diversity of a set of texts and its similarity to real ones, once for each set.

Real rows are described by the same code and at the same size as synthetic ones: a measure of synthetic rows can be
interpreted only by comparison with that of real rows.
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
"""Version of the measures. It is part of the key in the store: raise it when a change of code changes a value."""
ERROR = "_error"
"""Ends the name of a measure's standard error, which is given where the value is estimated."""

Measures = dict[str, float]


@dataclass(frozen=True)
class _Described:
    """What is stored of a set of texts."""

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
    """(diversity, similarity) of a synthesis's kept rows, of which ``rows_per_label`` were asked for.

    Measures at most as many rows of each label as the real ones can match, as ``matching`` says.
    """
    real = match(data, rows_per_label)
    return describe(matched_texts(rows, real.counts), real.reference, settings, encode=encode)


def describe_real(
    data: TaskData, rows_per_label: int, settings: Settings, *, encode: Encode | None = None
) -> tuple[Measures, Measures]:
    """(diversity, similarity) of as many real training rows, against the same reference as syntheses."""
    real = match(data, rows_per_label)
    return describe(real.real, real.reference, settings, encode=encode)


def describe(
    texts_described: Sequence[str], texts_real: Sequence[str], settings: Settings, *, encode: Encode | None = None
) -> tuple[Measures, Measures]:
    """(diversity, similarity) by the name of the measure, and where it was estimated, ``<name>_error``.

    A measure that too few texts leave undefined is left out. At most about 1,000 real texts are used. Found in the
    store when the same texts were described before. Raises ``RunError`` when embedding fails.
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
