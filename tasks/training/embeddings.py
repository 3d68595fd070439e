"""Embeddings of texts, computed once and kept in the store, for probes, measures and all other users of vectors.

They are stored in shards, one for each batch of new texts. A shard is an immutable artifact of two NumPy files, which
can be read as memory maps. Its key begins with hashes of everything that affects a vector except the text, so a listing
finds all shards. The token limit affects only the vectors of texts that it cuts; the vector of a whole text can be used
with any limit that does not cut it. This matters because the limits of probes and measures differ. Several processes
and machines can add shards at once; at worst a text is in two shards. An interrupted run loses its current batch. A
damaged shard is reported and removed, and its texts are embedded again when they are needed.
"""

import contextlib
import hashlib
import io
import struct
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tasks.errors import RunError
from tasks.records import ID_LENGTH, content_key
from tasks.store import Store
from tasks.training import encoders, worker
from tasks.training.hardware import Precision, cores, precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float32]"
Encode = Callable[[Sequence[str]], Vectors]
"""Embeds texts: float32 (texts, width). All its texts count as cut, because it does not report whether they were."""

KIND = "vectors"
TEXTS, VECTORS = "texts.npy", "vectors.npy"
"""Files of a shard: its texts as (hash, 16 bytes; tokens, uint32, 0 if the text was cut), sorted by hash; and their
vectors, float32 (texts, width)."""
VERSION = 1
"""Increase it when a change of code changes vectors by more than rounding."""
SHARD_TEXTS = 2048
"""Most texts of a shard, which limits memory and the loss of an interruption."""
HASH_BYTES, TOKEN_BYTES = 16, 4

_embedding = threading.Lock()
"""Stages that run at the same time often need the same texts: with this lock, the second stage finds them stored."""
_texts: dict[tuple[str, str], "_Texts"] = {}
"""The texts of the shards that this process has read, by store and key."""


class _Texts(NamedTuple):
    """The texts of a shard, in its order."""

    names: Sequence[bytes]
    """Their hashes."""
    tokens: Sequence[int]
    """0 if a text was cut."""


@dataclass(frozen=True)
class Embedder:
    """Everything that affects a text's vector, which is the mean of an encoder's last hidden states."""

    encoder: encoders.Encoder
    max_length: int
    """Tokens after which a text is cut."""
    precision: Precision

    @cached_property
    def family(self) -> str:
        """First part of the shard keys of all embedders that differ only in ``max_length``."""
        shaped_by = {**self.encoder.identity, "precision": self.precision}
        return content_key({"version": VERSION, "pooling": "mean", **shaped_by})[:ID_LENGTH]

    @cached_property
    def key(self) -> str:
        """First part of the keys of its shards."""
        return self.family + content_key({"max_length": self.max_length})[:ID_LENGTH]

    def encode(self, texts: Sequence[str]) -> encoders.Embedded:
        """Embed texts in a worker process on all cores, so that this process does not import torch."""
        return worker.call(encoders.embed, self.encoder, list(texts), self.max_length, self.precision, cores())

    def can_use(self, key: str, tokens: int) -> bool:
        """Whether this embedder would compute the same vector, given its shard's key and the tokens of its text."""
        return key.startswith(self.key) or 0 < tokens <= self.max_length


def find_embedder(name: str, max_length: int, revision: str | None = None) -> Embedder:
    """The embedder of an encoder on this machine. Raises ``UserError`` like ``encoders.find_encoder``."""
    return Embedder(encoders.find_encoder(name, revision), max_length, precision())


def embed(texts: Sequence[str], embedder: Embedder, store: Store, *, encode: Encode | None = None) -> Vectors:
    """(texts, width) float32 vectors, not normalised; each distinct text that the store lacks is embedded and stored.

    ``encode`` replaces the encoder. Raises ``RunError`` if the encoder or the store cannot be used.
    """
    import numpy as np

    names = [_name(text) for text in texts]
    with _embedding:
        found = _stored(set(names), embedder, store)
        missing = {name: text for name, text in zip(names, texts, strict=True) if name not in found}
        for batch in _batches(sorted(missing)):
            vectors = _add([(name, missing[name]) for name in batch], embedder, store, encode)
            found |= zip(batch, vectors, strict=True)
    width = len(next(iter(found.values()))) if found else 0
    embedded = np.empty((len(names), width), np.float32)
    for row, name in enumerate(names):
        embedded[row] = found[name]
    return embedded


@dataclass(frozen=True, slots=True)
class Speed:
    """Characters and seconds of embedding a shard, from its manifest."""

    characters: int
    seconds: float


def stored_texts(texts: Sequence[str], embedder: Embedder, store: Store) -> int:
    """How many of the distinct texts have vectors in the store."""
    wanted = {_name(text) for text in texts}
    total = len(wanted)
    for key in _shards(embedder, store):
        wanted.difference_update(name for _, name in _usable(key, embedder, store))
    return total - len(wanted)


def seconds_per_character(embedder: Embedder, store: Store) -> float | None:
    """Mean speed over the shards of an embedder or, without any, of embedders of its family; null without any."""
    shards = _shards(embedder, store)
    own = [key for key in shards if key.startswith(embedder.key)]
    made = [found for key in own or shards if (found := store.record(KIND, key, Speed))]
    characters = sum(shard.characters for shard in made)
    return sum(shard.seconds for shard in made) / characters if characters else None


def _name(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:HASH_BYTES]


def _batches(names: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(names), SHARD_TEXTS):
        yield names[start : start + SHARD_TEXTS]


def _shards(embedder: Embedder, store: Store) -> list[str]:
    return [key for key in store.keys(KIND) if key.startswith(embedder.family)]


def _usable(key: str, embedder: Embedder, store: Store) -> Iterator[tuple[int, bytes]]:
    """Rows of a shard whose vectors an embedder can use, with the hashes of their texts."""
    texts = _texts_of(store, key)
    for row, (name, tokens) in enumerate(zip(texts.names, texts.tokens, strict=True)):
        if embedder.can_use(key, tokens):
            yield row, name


def _stored(names: set[bytes], embedder: Embedder, store: Store) -> dict[bytes, Vectors]:
    """Vectors of the texts that the store has, by hash of the text."""
    found: dict[bytes, Vectors] = {}
    for key in _shards(embedder, store):
        rows = [(row, name) for row, name in _usable(key, embedder, store) if name in names and name not in found]
        if rows and (vectors := _vectors_of(store, key)) is not None:
            chosen = vectors[[row for row, _ in rows]]  # a copy, so that the other vectors are freed
            found |= zip((name for _, name in rows), chosen, strict=True)
            store.touch(KIND, key)
    return found


def _add(batch: Sequence[tuple[bytes, str]], embedder: Embedder, store: Store, encode: Encode | None) -> Vectors:
    import numpy as np

    names, texts = [name for name, _ in batch], [text for _, text in batch]
    started = time.monotonic()
    vectors, tokens = (encode(texts), [0] * len(texts)) if encode else embedder.encode(texts)
    made: dict[str, object] = {
        "texts": len(texts),
        "characters": sum(map(len, texts)),
        "seconds": round(time.monotonic() - started, 3),
    }
    made |= {"encoder": embedder.encoder.identity, "max_length": embedder.max_length, "precision": embedder.precision}
    kind = np.dtype([("text", f"V{HASH_BYTES}"), ("tokens", f"<u{TOKEN_BYTES}")])
    listed = np.array(list(zip(names, tokens, strict=True)), kind)
    key = embedder.key + content_key([name.hex() for name in names])[:ID_LENGTH]
    store.put(KIND, key, made, {TEXTS: _to_bytes(listed), VECTORS: _to_bytes(vectors)})
    return vectors


def _texts_of(store: Store, key: str) -> _Texts:
    """A shard's texts; empty if it is damaged or gone. They stay in memory, because a shard never changes, and every
    stage would read all shards from an object store again.
    """
    if (store.url, key) not in _texts:
        try:
            content = store.file(KIND, key, TEXTS)
        except FileNotFoundError:
            _remove(store, key)
            return _Texts((), ())
        header = 10 + int.from_bytes(content[8:10], "little")  # without NumPy: a plan need not import it
        listed = list(struct.iter_unpack(f"<{HASH_BYTES}sI", content[header:]))
        _texts[store.url, key] = _Texts([name for name, _ in listed], array("I", (tokens for _, tokens in listed)))
    return _texts[store.url, key]


def _vectors_of(store: Store, key: str) -> "Vectors | None":
    """A shard's vectors; null if it is damaged or gone."""
    import numpy as np

    try:
        vectors: Vectors = np.load(io.BytesIO(store.file(KIND, key, VECTORS)), allow_pickle=False)
        if len(vectors) == len(_texts_of(store, key).names):
            return vectors
        store.damaged(KIND, key, f"{VECTORS} has another number of rows than {TEXTS}")
    except FileNotFoundError:
        pass
    except (ValueError, EOFError) as error:
        store.damaged(KIND, key, f"{VECTORS}: {error}")
    _remove(store, key)
    return None


def _remove(store: Store, key: str) -> None:
    """Delete a damaged shard, so that it is not reported again."""
    with contextlib.suppress(RunError):  # permission to read does not include permission to delete
        store.delete(KIND, key)


def _to_bytes(array: "NDArray[np.generic]") -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
