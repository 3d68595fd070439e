"""Frozen-encoder probe: logistic regression on mean-pooled embeddings. It trains in seconds and is used for screening.

It has no random part: trials of different seeds differ only if their rows differ.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.config import ClassifierConfig
from tasks.errors import RunError, UserError
from tasks.training import encoders, synthgap_probe
from tasks.training.embeddings import Embedder, find_embedder
from tasks.training.request import Training

if TYPE_CHECKING:
    import numpy as np

PREFIX = "probe/"
"""Precedes the name of the encoder."""

PENALTY = 10.0
"""Inverse strength of the L2 penalty, for embeddings of length one (docs/LOG.md)."""

SAVES = "probe"
"""``fit_and_save`` can write the coefficients to a folder."""

UNUSED = ("epochs", "learning_rate", "batch_size", "min_steps")


def check(config: ClassifierConfig) -> None:
    """Raises ``UserError`` for an impossible encoder name and for options of fine-tuning."""
    encoders.find_encoder(config.model.removeprefix(PREFIX), config.revision)
    for field in UNUSED:
        if getattr(config, field) != type(config).model_fields[field].default:
            raise UserError(
                f"classifier {config.model!r}: {field} {getattr(config, field)!r} is for fine-tuning; "
                "a probe has revision and max_length only"
            )


def resolve(config: ClassifierConfig) -> dict[str, Any]:
    """Everything that affects a training, including defaults."""
    embedder = embedder_of(config)
    return {**embedder.encoder.identity, "max_length": embedder.max_length}


def embedder_of(config: ClassifierConfig) -> Embedder:
    """The embedder of the vectors that a probe is fitted on."""
    return find_embedder(config.model.removeprefix(PREFIX), config.max_length, config.revision)


def fit_predict(training: Training) -> "np.ndarray":
    """Fit on the training rows; returns probabilities of the test texts, float64 (texts, labels).

    A label without training rows gets probability 0. Raises ``RunError`` if the encoder cannot be loaded.
    """
    encoder = encoders.find_encoder(training.config.model.removeprefix(PREFIX), training.config.revision)
    texts = [*training.texts, *training.test_texts]
    embedded = encoders.embed(encoder, texts, training.config.max_length, training.precision, training.threads)
    vectors = _normal(embedded.vectors)
    model = _fit(vectors[: len(training.texts)], training.row_labels)
    return _probabilities(model, vectors[len(training.texts) :], training.labels)


@dataclass(frozen=True)
class Fit:
    """One of several probes to fit, as row numbers in a common table of vectors."""

    rows: tuple[int, ...]
    """Training rows."""
    row_labels: tuple[str, ...]
    test_rows: tuple[int, ...]


Fitted = tuple["np.ndarray", float]
"""Probabilities of the test rows, float64 (rows, labels), and the seconds that fitting and predicting took."""


def fit_predict_each(vectors: "np.ndarray", fits: Sequence[Fit], labels: Sequence[str]) -> list[Fitted | RunError]:
    """Fit probes on rows of ``vectors`` (texts, width), one after the other on one core, because such small problems
    take longer on two. If a fit fails, its result is the error, and the others still run.
    """
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    table = _normal(vectors)
    found: list[Fitted | RunError] = []
    with threadpool_limits(1), config_context(skip_parameter_validation=True):
        for fit in fits:
            started = time.monotonic()
            try:
                model = _fit(table[list(fit.rows)], fit.row_labels)
                probabilities = _probabilities(model, table[list(fit.test_rows)], labels)
            except Exception as error:  # for example numbers that are not finite
                found.append(RunError(f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"))
            else:
                found.append((probabilities, time.monotonic() - started))
    return found


def fit_and_save(
    config: ClassifierConfig, folder: Path, vectors: "np.ndarray", fits: Sequence[Fit], labels: Sequence[str]
) -> list[Fitted | RunError]:
    """Fit the single probe in ``fits``, write it to ``folder`` (``synthgap_probe``), and predict with it."""
    import numpy as np

    [fit] = fits
    table = _normal(vectors)
    model = _fit(table[list(fit.rows)], fit.row_labels)
    weights, intercepts = model.coef_, model.intercept_
    if len(weights) == 1:  # two labels: the row is that of the second, the first's logit is 0
        weights, intercepts = np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    embedder = embedder_of(config)
    encoder = embedder.encoder
    module, package = encoders.EMBEDDED.get(encoder.name, (encoder.source, None))
    about = synthgap_probe.About(
        encoder=module,
        package=package,
        revision=encoder.revision,
        fingerprint=encoder.fingerprint,
        folder=encoder.local,
        max_length=embedder.max_length,
        labels=tuple(map(str, model.classes_)),
    )
    synthgap_probe.save(folder, about, weights, intercepts)
    return [(_probabilities(model, table[list(fit.test_rows)], labels), 0.0)]


def _normal(vectors: "np.ndarray") -> "np.ndarray":
    """The vectors scaled to length one, float64."""
    import numpy as np

    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    normal: np.ndarray = wide / np.where(lengths == 0, 1, lengths)
    return normal


def _fit(vectors: "np.ndarray", row_labels: Sequence[str]) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=PENALTY, max_iter=2000).fit(vectors, row_labels)


def _probabilities(model: Any, vectors: "np.ndarray", labels: Sequence[str]) -> "np.ndarray":
    import numpy as np

    probabilities = np.zeros((len(vectors), len(labels)))
    probabilities[:, [labels.index(label) for label in model.classes_]] = model.predict_proba(vectors)
    return probabilities
