"""The two failures that a person sees as one clear line instead of a traceback.

``UserError`` is what the user wrote (exit code 2); ``RunError`` is what failed while running (exit code 1).
Anything else that escapes is a defect of ours and keeps its traceback.

Their messages reach terminals, logs, Prefect, MLflow, results and reports, so secrets are taken out where a message is
made, whoever made it: a provider may quote the key that it refuses.
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
"""Environment variables of such names hold secrets: parts of a name, so that ``KEYBOARD_LAYOUT`` is none."""
OURS = "SYNTHGAP_"
"""Beginning of our own settings, which are no secrets (``SYNTHGAP_MOST_TOKENS``), but for released keys."""
RELEASED = "SYNTHGAP_KEY_"
"""Beginning of the variables whose values a study may send to an address that it names."""
RELEASED_NAMES = "SYNTHGAP_KEYS"
"""The variable that lists further ones by name, with commas."""
NUMBER = re.compile(r"[\d.,_+-]+")
"""A limit or a port, whatever its variable is called."""
SHORTEST = 8
"""Characters of a value that counts as a secret: ``none`` and ``true`` are words."""
LOGIN = re.compile(r"(?<=://)[^/@\s'\"]+@")
"""User name and password in a URL."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""A disk, a quota or a file may not grow, or nothing may be written."""


_named: set[str] = set()


def secret_variable(name: str) -> str | None:
    """The value of an environment variable that holds a secret, as a header carries it; null where it is not set.

    From now on this process takes the value out of messages, whatever the variable is called.
    """
    _named.add(name)
    return os.environ.get(name, "").strip() or None


def is_released(name: str, environment: Mapping[str, str]) -> bool:
    """Whether the operator lets studies send a variable's value to an address of their own."""
    listed = {item.strip() for item in environment.get(RELEASED_NAMES, "").split(",")}
    return name.startswith(RELEASED) or name in listed


def is_secret(name: str, environment: Mapping[str, str]) -> bool:
    """Whether an environment variable holds a secret, by its name or because the operator released it as a key."""
    return is_released(name, environment) or (bool(SECRET.search(name)) and not name.startswith(OURS))


def environment_secrets() -> list[str]:
    """The secrets that this process's environment holds, longest first: one may be the beginning of another."""
    sure = {name for name in os.environ if name in _named or is_released(name, os.environ)}
    found = {name: os.environ[name].strip() for name in os.environ if name in sure or is_secret(name, os.environ)}
    values = {value for name, value in found.items() if name in sure or not NUMBER.fullmatch(value)}
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)


def redacted(text: str) -> str:
    """The text without logins in URLs and without the secrets that this process's environment holds."""
    for value in environment_secrets():
        text = text.replace(value, "***")
    return LOGIN.sub("***@", text)


class _ShownError(Exception):
    def __init__(self, message: object) -> None:
        super().__init__(encodable(redacted(str(message))))  # a provider may quote half a character


class UserError(_ShownError):
    """A config, option or file that the user wrote is wrong; the message names the bad value and the allowed ones."""


class RunError(_ShownError):
    """Something outside failed at run time (network, disk, endpoint, lock); the message says what to do."""


class GoneError(RunError):
    """A provider says that it does not serve ``model``, or not any more (status 404 or 410).

    ``api_base`` is its address, where it is not the provider's own: a wrong one says that of every model.
    ``api_key_env`` names the variable that holds its key.
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
    """A URI as it may be shown, without ``user:password@``, whatever characters the password has."""
    return re.sub(r"^([\w+.-]+://)(?:[^/@:]*:.*|[^/@]+)@", r"\1", uri)


@contextlib.contextmanager
def writing(what: str, path: object) -> Iterator[None]:
    """Turn what the disk refuses into one ``RunError`` that names the path."""
    try:
        yield
    except OSError as error:
        hint = "; free some space, then run again: finished work is kept" if error.errno in FULL else ""
        raise RunError(f"cannot write {what} {str(path)!r}: {error.strerror or error}{hint}") from error
