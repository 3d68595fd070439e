"""Versions of stored files: older ones are read or made again, newer ones are refused before anything is paid for."""

from typing import Any, TypeGuard

from tasks.errors import RunError


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
