"""The content of a ledger's file: what is spent and what is reserved, as a typed record that is checked on reading.

The file is one JSON object, whose last field is a checksum of everything before it. It has one sum of reservations for
each process, not one entry for each reservation, so its size does not grow with the number of calls in flight.
"""

import hashlib
import json
import os
import socket
import time
import uuid
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, Strict

from tasks.errors import RunError
from tasks.jsonl import DamagedError, from_value
from tasks.llm import sessions
from tasks.versions import is_version

SCHEMA = 2
"""Version of a ledger's file. Version 1 had no number and no checksum, and an entry for each reservation."""
SUM = ', "sum": '
"""The end of the file, after the book: its checksum."""
ENCODER = json.JSONEncoder(default=vars)
"""Made once, because a book is written twice for each call."""
LONGEST_CALL = 3600.0
"""Seconds after which a reservation of another machine counts as spent."""

Amount = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
"""Dollars or seconds. Negative values and NaN are refused, because no limit would work with them."""
Tokens = Annotated[int, Strict(), Field(ge=0)]
Whole = Annotated[int, Strict()]


@dataclass
class Held:
    """The sum of the reservations of one process."""

    usd: Amount
    tokens: Tokens
    attempts: Whole
    """Number of reservations."""
    session: str | None
    """Session of the process; null in a book of version 1, which has only the process id."""
    host: str
    pid: Whole
    time: Amount
    """When the last reservation was made, in seconds since 1970."""


@dataclass
class Book:
    """What is spent and reserved."""

    schema: int = SCHEMA
    spent_usd: Amount = 0.0
    tokens: Tokens = 0
    estimated_usd: Amount = 0.0
    """The part of the spending that is not known; each such call counts with its maximum."""
    estimated_tokens: Tokens = 0
    reserved: dict[str, Held] = field(default_factory=dict)
    unpriced: list[str] = field(default_factory=list)
    """Models without a price that were called."""

    def spend(self, usd: float, tokens: int, estimated: bool) -> None:
        """Count as spent."""
        self.spent_usd += usd
        self.tokens += tokens
        if estimated:
            self.estimated_usd += usd
            self.estimated_tokens += tokens

    def hold(self, usd: float, tokens: int, session: str) -> str:
        """Add a reservation to the sum of this process; returns the name of the sum."""
        mine = (name for name, held in self.reserved.items() if held.session == session)
        name = next(mine, None) or uuid.uuid4().hex  # never the name of a sum that was counted as spent
        host, pid, now = socket.gethostname(), os.getpid(), time.time()
        held = self.reserved.setdefault(name, Held(0.0, 0, 0, session, host, pid, now))
        held.usd += usd
        held.tokens += tokens
        held.attempts += 1
        held.time = now
        return name

    def release(self, name: str, usd: float, tokens: int) -> None:
        """Subtract a reservation from a sum, unless the sum was counted as spent in the meantime."""
        held = self.reserved.get(name)
        if held is None:
            return
        held.attempts -= 1
        held.usd = max(0.0, held.usd - usd)  # rounding
        held.tokens -= tokens
        if held.attempts == 0:
            del self.reserved[name]

    def expire_reservations(self, folder: Path) -> None:
        """Count the reservations of dead processes as spent; ``folder`` has the locks of live ones."""
        here = socket.gethostname()
        for name, held in list(self.reserved.items()):
            if held.host != here:
                lost = abs(time.time() - held.time) > LONGEST_CALL  # from the future: a clock was set back
            elif held.session:
                lost = not sessions.is_alive(folder, held.session)
            else:
                lost = not sessions.is_running(held.pid)
            if lost:
                del self.reserved[name]
                self.spend(held.usd, held.tokens, estimated=True)


def to_text(book: Book) -> str:
    """A book as JSON, without its checksum."""
    return ENCODER.encode(book)


def sealed(text: str) -> bytes:
    """The content of a ledger's file, from ``to_text``."""
    return f'{text[:-1]}{SUM}"{_check_sum(text)}"}}'.encode()


def from_file(content: bytes, path: Path) -> tuple[Book, str]:
    """The book in a ledger's file, and its text without the checksum; no text if the version is older.

    Raises ``DamagedError``, and ``RunError`` for a newer version.
    """
    try:
        text = content.decode()
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedError("it is no JSON") from None
    if not isinstance(found, dict):
        raise DamagedError("it is no object")
    if "schema" not in found and not found.keys() - {"spent_usd", "tokens", "reserved", "unpriced"}:
        return from_value(_of_version_1(found), Book), ""
    before = f"{text.rpartition(SUM)[0]}}}"
    if found.pop("sum", None) != _check_sum(before) or not is_version(found.get("schema")):
        raise DamagedError("the check sum is wrong")
    if found["schema"] > SCHEMA:
        raise RunError(f"the ledger {str(path)!r} was written by a newer version of synthgap; update this one")
    if missing := {item.name for item in fields(Book)} - found.keys():
        raise DamagedError(f"a field is missing: {min(missing)}")
    return from_value(found, Book), before


def _of_version_1(found: dict[str, Any]) -> dict[str, Any]:
    """A book of version 1, with an entry for each reservation, converted to this version."""
    reserved = found.get("reserved")
    if not isinstance(reserved, dict):
        raise DamagedError("reserved is no object")
    held = {name: item | {"attempts": 1, "session": None} for name, item in reserved.items() if isinstance(item, dict)}
    if len(held) != len(reserved) or not {"spent_usd", "tokens"} <= found.keys():
        raise DamagedError("a field is missing")
    return found | {"reserved": held}


def _check_sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
