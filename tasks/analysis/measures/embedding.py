"""Sentence embeddings for diversity and similarity: all-MiniLM-L6-v2, mean pooling, length one, as in the paper."""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.config import EMBEDDED_CLASSIFIER
from tasks.records import content_key
from tasks.store import Store
from tasks.training import encoders, worker
from tasks.training.hardware import cores, precision

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]

KIND = "embeddings"
FILE = "vectors.npy"
VERSION = 1
MAX_TOKENS = 256
"""What all-MiniLM-L6-v2 was trained to read."""


def embed_in_worker(texts: Sequence[str]) -> Vectors:
    """(texts, 384) mean-pooled hidden states from a worker process; this one stays free of torch."""
    encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
    vectors: Vectors = worker.call(encoders.embed, encoder, list(texts), MAX_TOKENS, precision(), cores())
    return vectors


def embed(texts: Sequence[str], store: Store, *, encode: Embed = embed_in_worker) -> Vectors:
    """(texts, 384) float32 embeddings of length one; a set of texts that was embedded before comes from the store."""
    key = content_key([VERSION, MAX_TOKENS, encoders.find_encoder(EMBEDDED_CLASSIFIER).fingerprint, precision(), texts])
    if (stored := _find(store, key, len(texts))) is not None:
        store.touch(KIND, key)
        return stored
    raw = encode(texts)
    vectors: Vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    store.put(KIND, key, {"texts": len(texts)}, {FILE: buffer.getvalue()})
    return vectors


def _find(store: Store, key: str, texts: int) -> Vectors | None:
    try:
        vectors: Vectors = np.load(io.BytesIO(store.file(KIND, key, FILE)), allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError) as error:
        store.damaged(KIND, key, f"{FILE}: {error}")
        return None
    if len(vectors) != texts:
        store.damaged(KIND, key, f"{FILE} has vectors of {len(vectors)} texts, not of {texts}")
        return None
    return vectors
