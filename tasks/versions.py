"""Versions of what is stored: an older one is read or made again, a newer one refused before anything is paid."""

from typing import Any, TypeGuard

from tasks.errors import RunError


class NewerError(RunError):
    """Written by a newer synthgap, in a form that this one may misread."""


def is_version(found: Any) -> TypeGuard[int]:
    """Whether what was read is a version: a whole number. To Python ``true`` is one as well."""
    return type(found) is int and found >= 0


def check_version(what: str, found: int, known: int, instead: str) -> None:
    """Raise ``NewerError`` for a schema above the ``known`` one; ``instead`` is what to do other than upgrade."""
    if found > known:
        raise NewerError(
            f"{what} was written by a newer synthgap (schema {found}, this version reads up to {known}): upgrade, or "
            f"{instead}"
        )
