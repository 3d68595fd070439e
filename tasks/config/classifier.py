"""A trainable classifier and its hyper-parameters."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from tasks.config.fields import Identified, named

EMBEDDED_CLASSIFIER = "embedded/minilm-l6"


class ClassifierConfig(Identified):
    """One trainable classifier and its hyper-parameters. A plain string stands for ``{model: string}``."""

    model: str = Field(min_length=1)
    """``embedded/minilm-l6``, an encoder on the Hugging Face hub, or a local folder (``./model``): it is fine-tuned.
    With ``probe/`` before the name, a logistic regression is trained on its embeddings instead."""
    revision: str | None = None
    """Commit of a hub encoder; null takes the newest one, which is not reproducible."""
    epochs: int = Field(default=3, gt=0)
    """Passes over the training rows."""
    min_steps: int = Field(default=50, gt=0)
    """Fewest optimiser steps. If the training set is so small that ``epochs`` passes are fewer steps, there are more
    passes."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW with linear warm-up and decay; null takes the tuned default of the classifier."""
    batch_size: int = Field(default=16, gt=0)
    """Rows in each optimiser step."""
    max_length: int = Field(default=128, gt=0, le=4096)
    """Most tokens of a text that the encoder reads; the rest is cut off."""


Classifier = Annotated[ClassifierConfig, BeforeValidator(named)]
