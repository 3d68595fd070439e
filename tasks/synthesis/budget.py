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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from tasks.config import StudyConfig
from tasks.errors import writing
from tasks.records import content_key
from tasks.synthesis.calls import Completion, Request
from tasks.synthesis.prices import Price

PATIENCE = 0.05
"""Seconds between looks at a ledger that is full of reservations."""
LONGEST_CALL = 3600.0
"""Seconds after which a reservation of another machine counts as spent."""


class BudgetReachedError(Exception):
    """No more may be asked; the message says which limit."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Set aside what a call may cost at most."""

    usd: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Settle:
    """Put what a call did cost in the place of its reservation."""

    reservation: str
    usd: float
    tokens: int


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
        [outcome] = self.book([Reserve(worst_usd, worst_tokens)])
        if isinstance(outcome, BudgetReachedError):
            raise outcome
        return outcome

    def settle(self, reservation: str, cost_usd: float, tokens: int) -> None:
        """Replace a reservation by what its call did cost."""
        self.book([Settle(reservation, cost_usd, tokens)])

    def book(self, changes: Sequence["Reserve | Settle"]) -> list["str | BudgetReachedError | None"]:
        """Make several changes in one go, in their order; returns what each came to.

        That is what ``reserve`` returns or raises; null of a ``Settle``.
        """
        with self._open() as book:
            return [
                self._reserved(book, change) if isinstance(change, Reserve) else _settled(book, change)
                for change in changes
            ]

    def _reserved(self, book: dict[str, Any], worst: "Reserve") -> "str | BudgetReachedError | None":
        held = book["reserved"].values()
        for limit, spent, most, key, name in (
            (self.limit_usd, book["spent_usd"], worst.usd, "usd", "${:g}"),
            (self.limit_tokens, book["tokens"], worst.tokens, "tokens", "{:,} tokens"),
        ):
            if limit is None:
                continue
            if spent + most > limit:
                return BudgetReachedError(f"the budget of {name.format(limit)} is reached")
            if spent + most + sum(item[key] for item in held) > limit:
                return None
        reservation = uuid.uuid4().hex
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
        book["reserved"][reservation] = {"usd": worst.usd, "tokens": worst.tokens, **holder}
        return reservation

    def first_without_price(self, model: str) -> bool:
        """Whether a model without a price is met for the first time in this run, by any of its processes."""
        with self._open() as book:
            known = book.setdefault("unpriced", [])
            if model in known:
                return False
            known.append(model)
            return True

    @property
    def spent_usd(self) -> float:
        """Dollars spent so far, by all processes."""
        with self._open() as book:
            return float(book["spent_usd"])

    @contextlib.contextmanager
    def _open(self) -> Iterator[dict[str, Any]]:
        with writing("the ledger", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                book = json.loads(self.path.read_text()) if self.path.exists() else _new()
                _bury(book)
                yield book
                self._replace(json.dumps(book))

    def _replace(self, content: str) -> None:
        draft = self.path.with_suffix(f".{os.getpid()}.draft")
        try:
            draft.write_text(content)
            draft.replace(self.path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def study_ledger(home: Path, config: StudyConfig, run: str) -> Ledger:
    """The ledger of a study's run: its own, or that of the account that the study shares with others."""
    limits = config.budget_usd, config.budget_tokens
    return open_account(home, config.account, *limits) if config.account else open_ledger(home, run, *limits)


def open_ledger(home: Path, run: str, limit_usd: float | None, limit_tokens: int | None = None) -> Ledger:
    """The ledger of a run by its id."""
    return open_account(home, content_key(run), limit_usd, limit_tokens)


def open_account(home: Path, account: str, limit_usd: float | None, limit_tokens: int | None = None) -> Ledger:
    """The ledger that all runs with this account share."""
    return Ledger(home / "budgets" / f"{account}.json", limit_usd, limit_tokens)


class Spending:
    """What one synthesis may and does spend: its generator's price against a ledger.

    A generator that is free writes nothing into the ledger. Changes that come while the ledger is being written go into
    it together, so that its lock and its rewriting cost less the more calls there are.
    """

    def __init__(self, ledger: Ledger | None, price: Price | None) -> None:
        counted = ledger is not None and ledger.limit_tokens is not None
        free = not counted and price is not None and not (price.tokens_in or price.tokens_out)
        self.unenforceable = ledger is not None and ledger.limit_usd is not None and price is None
        """There is a limit, but no price to hold it by."""
        self._price, self._ledger = price, None if free else ledger
        self._turn = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._waiting: list[tuple[Reserve | Settle, asyncio.Future[str | BudgetReachedError | None]]] = []

    async def reserve(self, request: Request) -> str:
        """Set the worst case of a call aside, waiting for calls under way where they hold the last of the budget.

        Returns what to settle it by; raises ``BudgetReachedError``.
        """
        if self._ledger is None:
            return ""
        worst = worst_case(request, self._price) if self._price else 0.0
        tokens = request.most_tokens_in + request.most_tokens_out
        change = Reserve(worst, tokens)
        outcome = await self._book(self._ledger, change)
        if outcome is None:
            async with self._turn:  # one of those that wait looks for all
                while (outcome := await self._book(self._ledger, change)) is None:
                    await asyncio.sleep(PATIENCE)
        if isinstance(outcome, BudgetReachedError):
            raise outcome
        return outcome

    async def settle(self, reservation: str, completion: Completion) -> None:
        """Put the true cost of an answered call in its place."""
        if self._ledger is None:
            return
        tokens = completion.tokens_in, completion.tokens_out
        cost = completion.cost_usd
        if cost is None:
            cost = self._price.of(*tokens) if self._price else 0.0
        await self._book(self._ledger, Settle(reservation, cost, sum(tokens)))

    async def release(self, reservation: str) -> None:
        """Give back what was set aside for a call that was not answered, and so not billed."""
        if self._ledger is not None:
            await self._book(self._ledger, Settle(reservation, 0.0, 0))

    async def _book(self, ledger: Ledger, change: Reserve | Settle) -> str | BudgetReachedError | None:
        """Have a change written, together with those that wait as well; returns when it is on disk."""
        done: asyncio.Future[str | BudgetReachedError | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, done))
        async with self._writing:
            await asyncio.sleep(0)  # for what others are about to add
            if not done.done():  # otherwise who held the lock before took this change along
                mine, self._waiting = self._waiting, []
                try:
                    outcomes = await asyncio.to_thread(ledger.book, [waiting for waiting, _ in mine])
                except BaseException as error:
                    for _, other in mine:
                        other.set_exception(error)
                else:
                    for (_, other), outcome in zip(mine, outcomes, strict=True):
                        other.set_result(outcome)
        return await done


def worst_case(request: Request, price: Price) -> float:
    """Most dollars that a request can cost."""
    return price.of(request.most_tokens_in, request.most_tokens_out)


def _new() -> dict[str, Any]:
    return {"spent_usd": 0.0, "tokens": 0, "reserved": {}}


def _settled(book: dict[str, Any], change: Settle) -> str | BudgetReachedError | None:
    book["reserved"].pop(change.reservation, None)
    book["spent_usd"] += change.usd
    book["tokens"] += change.tokens
    return None


def _bury(book: dict[str, Any]) -> None:
    """Count reservations of dead processes as spent."""
    here = socket.gethostname()
    alive = {pid: _is_alive(pid) for pid in {item["pid"] for item in book["reserved"].values() if item["host"] == here}}
    for reservation, item in list(book["reserved"].items()):
        lost = not alive[item["pid"]] if item["host"] == here else time.time() - item["time"] > LONGEST_CALL
        if lost:
            _settled(book, Settle(reservation, item["usd"], item["tokens"]))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
