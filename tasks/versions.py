"""Versions of stored files: older ones are read or made again, newer ones are refused before anything is paid for."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from tasks.errors import RunError

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "tasks")
SUFFIXES = (".py", ".html", ".yaml")


class NewerError(RunError):
    """A file was written by a newer synthgap, and this version may misread it."""


def is_version(found: Any) -> TypeGuard[int]:
    """Whether a value is a version: a whole number, and not ``true``, which is one in Python."""
    return type(found) is int and found >= 0


def check_version(what: str, found: int, known: int, instead: str) -> None:
    """Raise ``NewerError`` for a schema above the ``known`` one; ``instead`` is what to do other than upgrade."""
    if found > known:
        raise NewerError(
            f"{what} was written by a newer synthgap (schema {found}, this version reads up to {known}): upgrade, or "
            f"{instead}"
        )


@cache
def code_version() -> str:
    """A hash of the product's own files: any change of them may change what results say."""
    found = hashlib.sha256()
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in SUFFIXES)
    for path in sorted(files):
        found.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()
