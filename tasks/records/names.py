"""How records are named: a hash for the store and for results, and a readable name for people."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any


def content_key(value: Any) -> str:
    """The first 32 hex digits of the SHA-256 of ``value`` as canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def key_of_parts(parts: Mapping[str, str | Iterable[str]]) -> str:
    """``content_key`` of a mapping whose values are canonical JSON already. Many keys can share a large value.

    A value may come in pieces (``canonical_list``), so that it need not fit into memory.
    """
    digest = hashlib.sha256(b"{")
    for place, name in enumerate(sorted(parts)):
        digest.update(f"{',' if place else ''}{canonical(name)}:".encode())
        value = parts[name]
        for piece in [value] if isinstance(value, str) else value:
            digest.update(piece.encode())
    digest.update(b"}")
    return digest.hexdigest()[:32]


def canonical_list(items: Iterable[Any]) -> Iterator[str]:
    """The canonical JSON of a list of ``items``, in pieces."""
    yield "["
    for place, item in enumerate(items):
        yield f"{',' if place else ''}{canonical(item)}"
    yield "]"


def canonical(value: Any) -> str:
    """``value`` as canonical JSON: sorted keys, no spaces, no escaped characters except where JSON needs them."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"no canonical JSON for {type(value).__name__}")


def readable(*parts: str | None) -> str:
    """The non-empty parts as one name for people: ``sms_spam · few_shot · seed 0``.

    A part that repeats the previous one is left out: the mode and the classifier ``majority`` have the same name.
    """
    return " · ".join(part for part, _ in groupby(filter(None, parts)))


def short(name: str) -> str:
    """A model's name without its provider. Settings in brackets stay, and a probe keeps the word ``probe``."""
    model, bracket, settings = name.partition(" (")
    model = model.rsplit("/", 1)[-1] + bracket + settings
    return f"probe {model}" if name.startswith("probe/") else model
