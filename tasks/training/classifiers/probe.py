"""Frozen-encoder probe: logistic regression on mean-pooled embeddings. Trains in seconds: the screening classifier.

It has no random part: trials of different seeds differ only where their rows do.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.config import ClassifierConfig
from tasks.errors import UserError
from tasks.training import encoders, synthgap_probe
from tasks.training.request import Training

if TYPE_CHECKING:
    import numpy as np

PREFIX = "probe/"
"""Before the name of the encoder."""

PENALTY = 10.0
"""Inverse strength of the L2 penalty on embeddings of length one (docs/LOG.md)."""

SAVES = "probe"
"""A training can leave its coefficients in a folder (``synthgap_probe``)."""

UNUSED = ("epochs", "learning_rate", "batch_size", "min_steps")


def check(config: ClassifierConfig) -> None:
    """Raises ``UserError`` when there can be no such encoder, or for options of fine-tuning."""
    encoders.find_encoder(config.model.removeprefix(PREFIX), config.revision)
    for field in UNUSED:
        if getattr(config, field) != type(config).model_fields[field].default:
            raise UserError(
                f"classifier {config.model!r}: {field} {getattr(config, field)!r} is for fine-tuning; "
                "a probe has revision and max_length only"
            )


def resolve(config: ClassifierConfig) -> dict[str, Any]:
    """What shapes a training, defaults filled in."""
    encoder = encoders.find_encoder(config.model.removeprefix(PREFIX), config.revision)
    return {**encoder.identity, "max_length": config.max_length}


def fit_predict(training: Training) -> "np.ndarray":
    """Fit on the training rows; probabilities of the test texts, float64 (texts, labels).

    A label without training rows gets probability 0. Raises ``RunError`` when the encoder cannot be loaded.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import normalize

    encoder = encoders.find_encoder(training.config.model.removeprefix(PREFIX), training.config.revision)
    texts = [*training.texts, *training.test_texts]
    vectors = encoders.embed(encoder, texts, training.config.max_length, training.precision, training.threads)
    vectors = normalize(vectors.astype(np.float64))
    model = LogisticRegression(C=PENALTY, max_iter=2000).fit(vectors[: len(training.texts)], training.row_labels)
    if training.save_to:
        _save(Path(training.save_to), training, encoder, model)
    probabilities = np.zeros((len(training.test_texts), len(training.labels)))
    columns = [training.labels.index(label) for label in model.classes_]
    probabilities[:, columns] = model.predict_proba(vectors[len(training.texts) :])
    return probabilities


def _save(folder: Path, training: Training, encoder: encoders.Encoder, model: Any) -> None:
    import numpy as np

    weights, intercepts = model.coef_, model.intercept_
    if len(weights) == 1:  # two labels: one row, for the second; the first's logit is 0
        weights, intercepts = np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    module, package = encoders.EMBEDDED.get(encoder.name, (encoder.source, None))
    about = synthgap_probe.About(
        encoder=module,
        package=package,
        revision=encoder.revision,
        fingerprint=encoder.fingerprint,
        folder=encoder.local,
        max_length=training.config.max_length,
        labels=tuple(map(str, model.classes_)),
    )
    synthgap_probe.save(folder, about, weights, intercepts)
