"""Versions of what is stored: an older one is read or made again, a newer one refused before anything is paid."""

from tasks.errors import RunError


class NewerError(RunError):
    """Written by a newer synthgap, in a form that this one may misread."""


def check_version(what: str, found: int, known: int, instead: str) -> None:
    """Raise ``NewerError`` for a schema above the ``known`` one; ``instead`` is what to do other than upgrade."""
    if found > known:
        raise NewerError(
            f"{what} was written by a newer synthgap (schema {found}, this version reads up to {known}): upgrade, or "
            f"{instead}"
        )
