"""The two failures that a person sees as one clear line instead of a traceback.

``UserError`` is what the user wrote (exit code 2); ``RunError`` is what failed while running (exit code 1).
Anything else that escapes is a defect of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A config, option or file that the user wrote is wrong; the message names the bad value and the allowed ones."""


class RunError(Exception):
    """Something outside failed at run time (network, disk, endpoint, lock); the message says what to do."""


def unknown(kind: str, value: object, allowed: Iterable[str]) -> UserError:
    """A ``UserError`` for a name that is not in a table, with the nearest name and all allowed ones."""
    names = sorted(allowed)
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {kind} {value!r}.{hint} Allowed: {', '.join(names) or 'none'}")
