"""How records are named: a hash for the store and for results, and a readable name for people."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any


def content_key(value: Any) -> str:
    """The first 32 hex digits of the SHA-256 of ``value`` as canonical JSON (sorted keys, UTF-8)."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:32]


def content_key_of_many(name: str, items: Iterable[Any], rest: Mapping[str, Any]) -> str:
    """The content key of ``{name: [*items], **rest}``, whose JSON need not fit into memory."""
    digest = hashlib.sha256()
    for number, field in enumerate(sorted({name, *rest})):
        digest.update(f"{',' if number else '{'}{_canonical(field)}:".encode())
        if field == name:
            digest.update(b"[")
            for place, item in enumerate(items):
                digest.update(f"{',' if place else ''}{_canonical(item)}".encode())
            digest.update(b"]")
        else:
            digest.update(_canonical(rest[field]).encode())
    digest.update(b"}")
    return digest.hexdigest()[:32]


def _canonical(value: Any) -> str:
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
    """The parts that are there, as one name for people: ``sms_spam · few_shot · seed 0``. A part that repeats the one
    before it is left out: mode and classifier of ``majority`` have one name.
    """
    return " · ".join(part for part, _ in groupby(filter(None, parts)))


def short(name: str) -> str:
    """A model's name without its provider, settings in brackets kept; a probe of an encoder says that it is one."""
    model, bracket, settings = name.partition(" (")
    model = model.rsplit("/", 1)[-1] + bracket + settings
    return f"probe {model}" if name.startswith("probe/") else model
