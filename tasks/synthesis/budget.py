"""How many dollars a run may spend on LLM calls: one ledger on disk, shared by all its processes.

Before a call its worst case is reserved, after it the true cost is settled, so what was spent never passes the limit.
What a killed process had reserved counts as spent: its calls may have been billed.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from tasks.records import content_key
from tasks.synthesis.calls import Completion, Request
from tasks.synthesis.prices import Price

PATIENCE = 0.05
"""Seconds between looks at a ledger that is full of reservations."""
LONGEST_CALL = 3600.0
"""Seconds after which a reservation of another machine counts as spent."""


class BudgetReachedError(Exception):
    """No more may be asked; the message says which limit."""


class Ledger:
    """The spending of one run, in dollars and tokens. A null limit sets none; spending is recorded all the same."""

    def __init__(self, path: Path, limit_usd: float | None, limit_tokens: int | None = None) -> None:
        self.path = path
        self.limit_usd = limit_usd
        self.limit_tokens = limit_tokens

    def reserve(self, worst_usd: float, worst_tokens: int = 0) -> str | None:
        """Set aside what a call may cost at most; returns an id to settle, null when it must wait for calls under way.

        Raises ``BudgetReachedError`` when a limit would be passed even if those cost nothing.
        """
        with self._open() as book:
            held = book["reserved"].values()
            for limit, spent, worst, reserved, name in (
                (self.limit_usd, book["spent_usd"], worst_usd, sum(item["usd"] for item in held), "${:g}"),
                (self.limit_tokens, book["tokens"], worst_tokens, sum(item["tokens"] for item in held), "{:,} tokens"),
            ):
                if limit is None:
                    continue
                if spent + worst > limit:
                    raise BudgetReachedError(f"the budget of {name.format(limit)} is reached")
                if spent + reserved + worst > limit:
                    return None
            reservation = uuid.uuid4().hex
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
            book["reserved"][reservation] = {"usd": worst_usd, "tokens": worst_tokens, **holder}
            return reservation

    def settle(self, reservation: str, cost_usd: float, tokens: int) -> None:
        """Replace a reservation by what its call did cost."""
        with self._open() as book:
            book["reserved"].pop(reservation, None)
            book["spent_usd"] += cost_usd
            book["tokens"] += tokens

    @property
    def spent_usd(self) -> float:
        """Dollars spent so far, by all processes."""
        with self._open() as book:
            return float(book["spent_usd"])

    @contextlib.contextmanager
    def _open(self) -> Iterator[dict[str, Any]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            book = json.loads(self.path.read_text()) if self.path.exists() else _new()
            _bury(book)
            yield book
            draft = self.path.with_suffix(f".{os.getpid()}.draft")
            draft.write_text(json.dumps(book))
            draft.replace(self.path)


def open_ledger(home: Path, run: str, limit_usd: float | None, limit_tokens: int | None = None) -> Ledger:
    """The ledger of a run by its id."""
    return Ledger(home / "budgets" / f"{content_key(run)}.json", limit_usd, limit_tokens)


class Spending:
    """What one synthesis may and does spend: its generator's price against a ledger.

    A generator that is free writes nothing into the ledger.
    """

    def __init__(self, ledger: Ledger | None, price: Price | None) -> None:
        counted = ledger is not None and ledger.limit_tokens is not None
        free = not counted and price is not None and not (price.tokens_in or price.tokens_out)
        self.unenforceable = ledger is not None and ledger.limit_usd is not None and price is None
        """There is a limit, but no price to hold it by."""
        self._price, self._ledger = price, None if free else ledger
        self._turn = asyncio.Lock()

    async def reserve(self, request: Request) -> str:
        """Set the worst case of a call aside, waiting for calls under way where they hold the last of the budget.

        Returns what to settle it by; raises ``BudgetReachedError``.
        """
        if self._ledger is None:
            return ""
        worst = worst_case(request, self._price) if self._price else 0.0
        tokens = request.most_tokens_in + request.most_tokens_out
        async with self._turn:
            while (reservation := await asyncio.to_thread(self._ledger.reserve, worst, tokens)) is None:
                await asyncio.sleep(PATIENCE)
        return reservation

    async def settle(self, reservation: str, completion: Completion) -> None:
        """Put the true cost of an answered call in its place."""
        if self._ledger is None:
            return
        tokens = completion.tokens_in, completion.tokens_out
        cost = completion.cost_usd
        if cost is None:
            cost = self._price.of(*tokens) if self._price else 0.0
        await asyncio.to_thread(self._ledger.settle, reservation, cost, sum(tokens))

    async def release(self, reservation: str) -> None:
        """Give back what was set aside for a call that was not answered, and so not billed."""
        if self._ledger is not None:
            await asyncio.to_thread(self._ledger.settle, reservation, 0.0, 0)


def worst_case(request: Request, price: Price) -> float:
    """Most dollars that a request can cost."""
    return price.of(request.most_tokens_in, request.most_tokens_out)


def _new() -> dict[str, Any]:
    return {"spent_usd": 0.0, "tokens": 0, "reserved": {}}


def _bury(book: dict[str, Any]) -> None:
    """Count reservations of dead processes as spent."""
    for reservation, item in list(book["reserved"].items()):
        here = item["host"] == socket.gethostname()
        if not _is_alive(item["pid"]) if here else time.time() - item["time"] > LONGEST_CALL:
            lost = book["reserved"].pop(reservation)
            book["spent_usd"] += lost["usd"]
            book["tokens"] += lost["tokens"]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
