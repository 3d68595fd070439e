"""A trainable classifier and its hyper-parameters."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from tasks.config.fields import Identified, named

EMBEDDED_CLASSIFIER = "embedded/minilm-l6"


class ClassifierConfig(Identified):
    """One trainable classifier and its hyper-parameters. A plain string stands for ``{model: string}``."""

    model: str = Field(min_length=1)
    """``embedded/minilm-l6``, any encoder on the hub, or a local folder."""
    revision: str | None = None
    """Commit of a hub encoder; null takes the hub's newest."""
    epochs: int = Field(default=3, gt=0)
    """Passes over the training rows."""
    min_steps: int = Field(default=50, gt=0)
    """Fewest optimiser steps: small training sets are passed more often than ``epochs`` until it is reached."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW with linear warm-up and decay; null takes the classifier's tuned default."""
    batch_size: int = Field(default=16, gt=0)
    """Rows per optimiser step."""
    max_length: int = Field(default=128, gt=0, le=4096)
    """Tokens of a text that the encoder reads."""


Classifier = Annotated[ClassifierConfig, BeforeValidator(named)]
