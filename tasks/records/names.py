"""How records are named: a hash for the store and for results, and a readable name for people."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any


def content_key(value: Any) -> str:
    """The first 32 hex digits of the SHA-256 of ``value`` as canonical JSON."""
    return _hash(canonical(value))


def key_of_parts(parts: Mapping[str, str]) -> str:
    """``content_key`` of a mapping whose values are canonical JSON already. Many keys can share a large value."""
    return _hash("{" + ",".join(f"{canonical(name)}:{parts[name]}" for name in sorted(parts)) + "}")


def canonical(value: Any) -> str:
    """``value`` as canonical JSON: sorted keys, no spaces, no escaped characters except where JSON needs them."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


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
