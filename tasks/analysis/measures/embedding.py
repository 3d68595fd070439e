"""Sentence embeddings for diversity and similarity: all-MiniLM-L6-v2, mean pooling, length one, as in the paper."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.config import EMBEDDED_CLASSIFIER
from tasks.store import Store
from tasks.training import embeddings
from tasks.training.embeddings import Encode, find_embedder

Vectors = NDArray[np.float32]

VERSION = 1
MAX_TOKENS = 256
"""Length that all-MiniLM-L6-v2 was trained with."""


def embed(texts: Sequence[str], store: Store, *, encode: Encode | None = None) -> Vectors:
    """(texts, 384) float32 embeddings of length one. Embeddings of known texts come from the store.

    ``encode`` replaces the encoder.
    """
    raw = embeddings.embed(texts, find_embedder(EMBEDDED_CLASSIFIER, MAX_TOKENS), store, encode=encode)
    vectors: Vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return vectors
