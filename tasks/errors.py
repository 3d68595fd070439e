"""The two failures that a person sees as one clear line instead of a traceback.

``UserError``: something that the user wrote is wrong (exit code 2). ``RunError``: something failed while running (exit
code 1). Any other exception is a defect and keeps its traceback.

Messages reach terminals, logs, Prefect, MLflow, results and reports. Secrets are therefore removed when a message is
made, also from texts of others: a provider may quote the key that it refuses.
"""

import contextlib
import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping

from tasks.jsonl import encodable

SECRET = re.compile(
    r"(?:(?:^|_|API|ACCESS|ACCOUNT|PRIVATE|SECRET)KEY|TOKEN|SECRET|PASSWORD|PASSWD|_PWD|PASSPHRASE|CREDENTIAL"
    r"|AUTH_STRING)S?(?:_|$)",
    re.IGNORECASE,
)
"""Names of environment variables that contain secrets. Whole parts of a name count, so ``KEYBOARD_LAYOUT`` is none."""
OURS = "SYNTHGAP_"
"""Beginning of synthgap's own settings (``SYNTHGAP_MOST_TOKENS``), which are no secrets, except for released keys."""
RELEASED = "SYNTHGAP_KEY_"
"""Beginning of the names of variables whose values a study may send to an address of its own."""
RELEASED_NAMES = "SYNTHGAP_KEYS"
"""The variable that lists the names of further such variables, separated by commas."""
NUMBER = re.compile(r"[\d.,_+-]+")
"""A number, such as a limit or a port, which is no secret, whatever its variable is called."""
SHORTEST = 8
"""Fewest characters of a value that counts as a secret: ``none`` and ``true`` are words."""
LOGIN = re.compile(r"(?<=://)[^/@\s'\"]+@")
"""User name and password in a URL."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of a disk, quota or file that is full, or of a disk that is read-only."""


_named: set[str] = set()


def secret_variable(name: str) -> str | None:
    """The value of an environment variable that contains a secret, without surrounding spaces; null if it is not set.

    From then on this process removes the value from messages, whatever the variable is called.
    """
    _named.add(name)
    return os.environ.get(name, "").strip() or None


def is_released(name: str, environment: Mapping[str, str]) -> bool:
    """Whether the operator allows studies to send a variable's value to addresses of their own."""
    listed = {item.strip() for item in environment.get(RELEASED_NAMES, "").split(",")}
    return name.startswith(RELEASED) or name in listed


def is_secret(name: str, environment: Mapping[str, str]) -> bool:
    """Whether an environment variable contains a secret: by its name, or because the operator released it as a key."""
    return is_released(name, environment) or (bool(SECRET.search(name)) and not name.startswith(OURS))


def environment_secrets() -> list[str]:
    """The secrets in this process's environment, longest first, because one may be the beginning of another."""
    sure = {name for name in os.environ if name in _named or is_released(name, os.environ)}
    found = {name: os.environ[name].strip() for name in os.environ if name in sure or is_secret(name, os.environ)}
    values = {value for name, value in found.items() if name in sure or not NUMBER.fullmatch(value)}
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)


def redacted(text: str) -> str:
    """The text without logins in URLs and without the secrets of this process's environment."""
    for value in environment_secrets():
        text = text.replace(value, "***")
    return LOGIN.sub("***@", text)


class _ShownError(Exception):
    def __init__(self, message: object) -> None:
        super().__init__(encodable(redacted(str(message))))  # a provider may quote a lone surrogate


class UserError(_ShownError):
    """A config, option or file that the user wrote is wrong; the message names the bad value and the allowed ones."""


class RunError(_ShownError):
    """Something outside failed at run time (network, disk, endpoint, lock); the message says what to do."""


class GoneError(RunError):
    """A provider says that it does not serve ``model``, or no longer (status 404 or 410).

    ``api_base`` is the address if it is not the provider's own; a wrong address says the same of every model.
    ``api_key_env`` is the name of the variable with its key.
    """

    def __init__(
        self, message: str, model: str = "", api_base: str | None = None, api_key_env: str | None = None
    ) -> None:
        super().__init__(message)
        self.model, self.api_base, self.api_key_env = model, api_base, api_key_env


def unknown(kind: str, value: object, allowed: Iterable[str], reason: str = "", also: str = "") -> UserError:
    """A ``UserError`` for a name that is not in a table, with the nearest name and all allowed ones.

    ``also`` says what is allowed besides the names.
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    why = f": {reason}" if reason else ""
    shown = ", ".join([*names, also] if also else names)
    return UserError(f"unknown {kind} {value!r}{why}.{hint} Allowed: {shown or 'none'}")


def without_password(uri: str) -> str:
    """A URI without ``user:password@``, whatever characters the password has."""
    return re.sub(r"^([\w+.-]+://)(?:[^/@:]*:.*|[^/@]+)@", r"\1", uri)


@contextlib.contextmanager
def writing(what: str, path: object) -> Iterator[None]:
    """Turn an error of the disk into one ``RunError`` that names the path."""
    try:
        yield
    except OSError as error:
        hint = "; free some space, then run again: finished work is kept" if error.errno in FULL else ""
        raise RunError(f"cannot write {what} {str(path)!r}: {error.strerror or error}{hint}") from error
