"""How much a run may spend on LLM calls: one ledger on disk, shared by all its processes.

Before every attempt of a call its worst case is reserved, after it the true cost is settled, so what was spent never
passes the limit. An attempt whose answer was lost may have been billed: its worst case counts as spent, and so does
what a killed process had reserved. A ledger is written twice, its copy first, so that damage to one file loses nothing;
where both are damaged nothing more is spent. It holds one sum of reservations for each process, not each reservation,
so that its size does not grow with the calls at once.
"""

import asyncio
import atexit
import contextlib
import hashlib
import json
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from tasks.config import GeneratorConfig, StudyConfig
from tasks.errors import RunError, UserError, writing
from tasks.files import make_folder, replace_files
from tasks.llm.calls import Completion, Request, UnwantedError
from tasks.llm.prices import Price, listed_price, price
from tasks.progress import LOGGER
from tasks.records import content_key
from tasks.settings import Settings
from tasks.versions import is_version
from tasks.waiting import Waits

SCHEMA = 2
"""Version of a ledger's file; 1 had no number and no check sum, and held each reservation by itself."""
SUM = ', "sum": '
"""What comes after the book in its file: a check sum of it."""
PATIENCE = 0.05
"""Seconds between looks at a ledger that is full of reservations."""
LONGEST_CALL = 3600.0
"""Seconds after which a reservation of another machine counts as spent, and after which who waits for the reservations
of others gives up."""
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a damaged book raises."""
LOCKED = 60.0
"""Seconds to wait for the lock of a ledger, which is held for milliseconds."""


class BudgetReachedError(Exception):
    """No more may be asked; the message says which limit."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Set aside what an attempt may cost at most."""

    usd: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is set aside for an attempt."""

    holding: str
    """In which of the ledger's sums it is."""
    worst: Reserve


@dataclass(frozen=True, slots=True)
class Settle:
    """Put what an attempt did cost in the place of its reservation."""

    reservation: Reservation
    usd: float
    tokens: int
    estimated: bool = False
    """These are the most that it can have cost; the true cost is unknown."""


@dataclass(frozen=True, slots=True)
class Booked:
    """What a ledger holds as spent."""

    usd: float
    tokens: int
    estimated_usd: float
    """The part of it that is not known but is the most that it can have been."""
    estimated_tokens: int


Outcome = Reservation | BudgetReachedError | None
"""What a change of a ledger comes to: what ``Ledger.reserve`` returns or raises; null of a ``Settle``."""


class Ledger:
    """The spending of one run, in dollars and tokens. A null limit sets none; spending is recorded all the same.

    ``limit_usd`` and ``limit_tokens`` are the study's, ``cap_usd`` and ``cap_tokens`` those of whoever operates this
    installation; the lower ones count.
    """

    def __init__(
        self,
        path: Path,
        limit_usd: float | None,
        limit_tokens: int | None = None,
        cap_usd: float | None = None,
        cap_tokens: int | None = None,
    ) -> None:
        self.path = path
        self.cap_usd, self.cap_tokens = cap_usd, cap_tokens
        self.limit_usd = _lower(limit_usd, cap_usd)
        self.limit_tokens = _lower(limit_tokens, cap_tokens)

    def reserve(self, worst_usd: float, worst_tokens: int = 0) -> Reservation | None:
        """Set aside what a call may cost at most; returns what to settle, null when it must wait for calls under way.

        Raises ``BudgetReachedError`` when a limit would be passed even if those cost nothing.
        """
        [outcome] = self.book([Reserve(worst_usd, worst_tokens)])
        if isinstance(outcome, BudgetReachedError):
            raise outcome
        return outcome

    def settle(self, reservation: Reservation, cost_usd: float, tokens: int) -> None:
        """Replace a reservation by what its call did cost."""
        self.book([Settle(reservation, cost_usd, tokens)])

    def book(self, changes: Sequence[Reserve | Settle]) -> list[Outcome]:
        """Make several changes in one go, in their order; returns what each came to."""
        with self._open() as book:
            return [self._booked(book, change) for change in changes]

    def _booked(self, book: dict[str, Any], change: Reserve | Settle) -> Outcome:
        if isinstance(change, Reserve):
            return self._reserved(book, change)
        _settle(book, change)
        return None

    def _reserved(self, book: dict[str, Any], worst: Reserve) -> Outcome:
        held = book["reserved"].values()
        for limit, cap, spent, most, key, name in (
            (self.limit_usd, self.cap_usd, book["spent_usd"], worst.usd, "usd", "${:g}"),
            (self.limit_tokens, self.cap_tokens, book["tokens"], worst.tokens, "tokens", "{:,} tokens"),
        ):
            if limit is None:
                continue
            if spent + most > limit:
                whose = f", which SYNTHGAP_MOST_{key.upper()} sets," if limit == cap else ""
                return BudgetReachedError(f"the budget of {name.format(limit)}{whose} is reached")
            if spent + most + sum(item[key] for item in held) > limit:
                return None
        session = _session(self.path.parent)
        mine = (name for name, item in book["reserved"].items() if item["session"] == session)
        holding = next(mine, None) or uuid.uuid4().hex  # never that of a sum that was counted as spent before
        held = book["reserved"].setdefault(holding, {"usd": 0.0, "tokens": 0, "attempts": 0})
        held |= {"session": session, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
        held["usd"] += worst.usd
        held["tokens"] += worst.tokens
        held["attempts"] += 1
        return Reservation(holding, worst)

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
        return self.booked.usd

    @property
    def booked(self) -> Booked:
        """What is spent so far, by all processes."""
        with self._open() as book:
            return Booked(book["spent_usd"], book["tokens"], book["estimated_usd"], book["estimated_tokens"])

    @property
    def holders(self) -> str:
        """Which processes hold reservations, for people."""
        with self._open() as book:
            return ", ".join(sorted(f"{item['pid']} on {item['host']}" for item in book["reserved"].values()))

    @contextlib.contextmanager
    def _open(self) -> Iterator[dict[str, Any]]:
        with writing("the ledger", self.path):
            make_folder(self.path.parent)
            try:
                with FileLock(f"{self.path}.lock", timeout=LOCKED):
                    book, before = self._read()
                    _bury(book, self.path.parent)
                    yield book
                    if (after := json.dumps(book)) != before:
                        self._write(after)
            except Timeout:
                raise RunError(
                    f"another process has kept the ledger {str(self.path)!r} locked for {LOCKED:g} s; "
                    "is it stopped? End it, then run again"
                ) from None

    @property
    def _copy(self) -> Path:
        return self.path.with_name(f"{self.path.name}.copy")

    def _read(self) -> tuple[dict[str, Any], str]:
        """The book, as an object and as text, from the copy where the file itself is damaged.

        Raises ``RunError`` when both are.
        """
        if not self.path.exists() and not self._copy.exists():
            book = _current({"spent_usd": 0.0, "tokens": 0, "reserved": {}})
            return book, json.dumps(book)
        for path in (self.path, self._copy):
            with contextlib.suppress(*DAMAGED, FileNotFoundError):
                return _parsed(path.read_text(encoding="utf-8"), path)
            if path.exists():
                LOGGER.warning("the ledger %s is damaged%s", path, "; its copy is used" if path == self.path else "")
        raise RunError(
            f"the ledger {str(self.path)!r} is damaged, so what was spent is unknown and nothing more is spent; "
            f"to begin again at $0, remove it and {self._copy.name!r}"
        )

    def _write(self, content: str) -> None:
        whole = f'{content[:-1]}{SUM}"{_sum(content)}"}}'
        replace_files({path: whole.encode() for path in (self._copy, self.path)})


def study_ledger(settings: Settings, config: StudyConfig, run: str) -> Ledger:
    """The ledger of a study's run: its own, or that of the account that the study shares with others."""
    limits = config.budget_usd, config.budget_tokens
    return open_account(settings, config.account, *limits) if config.account else open_ledger(settings, run, *limits)


def open_ledger(settings: Settings, run: str, limit_usd: float | None, limit_tokens: int | None = None) -> Ledger:
    """The ledger of a run by its id."""
    return open_account(settings, content_key(run), limit_usd, limit_tokens)


def open_account(settings: Settings, account: str, limit_usd: float | None, limit_tokens: int | None = None) -> Ledger:
    """The ledger that all runs with this account share."""
    path = settings.home / "budgets" / f"{account}.json"
    return Ledger(path, limit_usd, limit_tokens, settings.most_usd, settings.most_tokens)


def counted_price(generator: GeneratorConfig, cap_usd: float | None, cap_tokens: int | None) -> Price | None:
    """The price that a ledger counts by. Where an operator caps dollars, a study cannot say a lower one than the table.

    Raises ``UserError`` for a model that such a cap cannot hold.
    """
    own = price(generator)
    if cap_usd is None:
        return own
    listed = listed_price(generator)
    if listed is None and cap_tokens is None:
        raise UserError(
            f"generator {generator.model!r}: litellm's table has no price for it, so the cap of ${cap_usd:g} "
            "(SYNTHGAP_MOST_USD) cannot hold it; name a model that has one, or have SYNTHGAP_MOST_TOKENS set as well"
        )
    return own.or_more(listed) if own and listed else own or listed


def price_notes(asked: Iterable[GeneratorConfig], budget_usd: float | None, settings: Settings) -> list[str]:
    """What a plan says of LLMs whose dollars nobody can count, one line each."""
    notes = []
    for generator in asked:
        try:
            known = counted_price(generator, settings.most_usd, settings.most_tokens)
        except UserError as error:
            notes.append(f"{error}; as it is, no call to it is made")
        else:
            if known is None and budget_usd is not None:
                notes.append(
                    f"{generator.model}: its price is unknown, so budget_usd cannot hold it; its tokens are counted: "
                    "set budget_tokens, or say its price in the study"
                )
    return list(dict.fromkeys(notes))


class Spending:
    """What one synthesis may and does spend: its generator's price against a ledger.

    A generator that is free writes nothing into the ledger. Changes that come while the ledger is being written go into
    it together, so that its lock and its rewriting cost less the more calls there are.
    """

    def __init__(self, ledger: Ledger | None, price: Price | None, patience: float = LONGEST_CALL) -> None:
        counted = ledger is not None and ledger.limit_tokens is not None
        free = not counted and price is not None and price.free
        self.unenforceable = ledger is not None and ledger.limit_usd is not None and price is None
        """There is a limit, but no price to hold it by."""
        self.counts = ledger is not None and not free
        """Whether anything has to be written down."""
        self.price = price
        self._ledger = ledger or Ledger(Path(), None)
        self._patience = patience
        self._turn = asyncio.Lock()
        self._waits = Waits()
        self._waiting: list[tuple[Reserve | Settle, asyncio.Future[Outcome]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._excess = False

    def payment(self, request: Request) -> "Payment":
        """What a call takes, attempt by attempt."""
        return Payment(self, request)

    async def reserve(self, usd: float, tokens: int) -> Reservation:
        """Set the worst case of an attempt aside, waiting for calls under way where they hold the last of the budget.

        Returns what to settle it by; raises ``BudgetReachedError``.
        """
        change = Reserve(usd, tokens)
        outcome = await self._booked(change) or await self._wait(change)
        if isinstance(outcome, BudgetReachedError):
            raise outcome
        return outcome

    async def _wait(self, change: Reserve) -> Reservation | BudgetReachedError:
        """What a reservation comes to when those of others are settled."""
        try:
            with self._waits.said(lambda: "the last of the budget, which calls under way hold, maybe of others"):
                async with asyncio.timeout(self._patience), self._turn:  # one of those that wait looks for all
                    while (outcome := await self._booked(change)) is None:
                        await asyncio.sleep(PATIENCE)
                    return outcome
        except TimeoutError:
            holders = await asyncio.to_thread(lambda: self._ledger.holders)
            return BudgetReachedError(
                f"the rest of the budget has been held for {self._patience:g} s by calls that do not end "
                f"(process {holders})"
            )

    def warn_of_excess(self, model: str, cost: float, worst: float) -> None:
        """Say once that a call cost more than it can have: the limit may be passed by as much."""
        if not self._excess:
            self._excess = True
            LOGGER.warning(
                "a call of %s cost $%.4g, more than the $%.4g that its length and price allow; it is booked, and the "
                "budget may be passed by the excess of one such call for each that is in flight", model, cost, worst
            )  # fmt: skip

    def settle(self, reservation: Reservation, usd: float, tokens: int, estimated: bool = False) -> None:
        """Put the cost of an attempt in the place of its reservation, as soon as the ledger can be written."""
        self._book(Settle(reservation, usd, tokens, estimated))

    async def settled(self) -> None:
        """Wait until the ledger holds all that was settled. Raises ``RunError`` where it cannot be written."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])
        if self._error is not None:
            raise self._error

    async def _booked(self, change: Reserve) -> Outcome:
        """What a reservation comes to. One that is made for a call that was cancelled meanwhile is given back."""
        done = self._book(change)
        try:
            return await done
        except asyncio.CancelledError:
            answered = done.done() and not done.cancelled() and done.exception() is None
            if answered and isinstance(outcome := done.result(), Reservation):
                self.settle(outcome, 0.0, 0)  # it came in the moment in which the call was cancelled
            raise

    def _book(self, change: Reserve | Settle) -> "asyncio.Future[Outcome]":
        """Have a change written, together with those that wait as well; the outcome is there when it is on disk."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())  # its own task: nobody's cancellation tears a write
        return done

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # for what others are about to add
            mine, self._waiting = self._waiting, []
            try:
                outcomes = await asyncio.to_thread(self._ledger.book, [change for change, _ in mine])
            except Exception as error:
                for change, done in mine:
                    if isinstance(change, Settle):
                        self._error = error  # the reservation stays; whoever waits for the end hears of it
                    elif not done.done():
                        done.set_exception(error)
                continue
            for (_, done), outcome in zip(mine, outcomes, strict=True):
                if not done.done():
                    done.set_result(outcome)
                elif isinstance(outcome, Reservation):  # nobody waits for this reservation any more
                    self.settle(outcome, 0.0, 0)


class Payment:
    """What one call takes from the ledger. As a context it reserves the first attempt, and settles the last one.

    An attempt that ended by an error that says so was not billed, nor was one that was not made; any other end, a
    cancellation as well, may have come after the provider had the request.
    """

    def __init__(self, spending: Spending, request: Request) -> None:
        self._spending = spending
        self._worst = worst_case(request, spending.price) if spending.price else 0.0
        self._tokens = request.most_tokens_in + request.most_tokens_out
        self._generator = request.generator
        self._reservation: Reservation | None = None
        self._completion: Completion | None = None

    async def __aenter__(self) -> Self:
        await self.reserve()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._completion is not None:
            self._settle(self._completion)
        elif kind is not None and issubclass(kind, RunError | UserError | UnwantedError | BudgetReachedError):
            self._book(0.0, 0)
        else:
            self.lost()

    async def reserve(self) -> None:
        """Set the worst case of the next attempt aside, where it is not yet; raises ``BudgetReachedError``."""
        if self._spending.counts and self._reservation is None:
            self._reservation = await self._spending.reserve(self._worst, self._tokens)

    def lost(self) -> None:
        """Count the worst case of the attempt under way as spent."""
        self._book(self._worst, self._tokens, estimated=True)

    def answered(self, completion: Completion) -> None:
        """The attempt under way was answered: this is what it takes, whatever happens to the answer."""
        self._completion = completion

    def _settle(self, completion: Completion) -> None:
        tokens = completion.tokens_in, completion.tokens_out
        cost, known = completion.cost_usd, self._spending.price
        if known is not None and (cost is None or self._generator.price):  # which an operator's cap may not believe
            cost = max(cost or 0.0, known.most(*tokens) if completion.estimated else known.of(*tokens))
        if known is not None and (cost or 0.0) > self._worst:
            self._spending.warn_of_excess(self._generator.model, cost or 0.0, self._worst)
        self._book(cost or 0.0, sum(tokens), completion.estimated)

    def _book(self, usd: float, tokens: int, estimated: bool = False) -> None:
        if self._reservation is not None:
            reservation, self._reservation = self._reservation, None
            self._spending.settle(reservation, usd, tokens, estimated)


def worst_case(request: Request, price: Price) -> float:
    """Most dollars that an attempt of a request can cost."""
    return price.most(request.most_tokens_in, request.most_tokens_out)


def _lower(one: Any, other: Any) -> Any:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _sum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _parsed(content: str, path: Path) -> tuple[dict[str, Any], str]:
    """The book in a ledger's file, as an object and as text.

    Raises ``RunError`` for a newer one, those of ``DAMAGED`` for a damaged one.
    """
    book: dict[str, Any] = json.loads(content)
    if "schema" not in book and not book.keys() - {"spent_usd", "tokens", "reserved", "unpriced"}:
        return _checked(_current(book)), ""
    text = f"{content.rpartition(SUM)[0]}}}"
    if book.pop("sum") != _sum(text) or not is_version(book["schema"]):
        raise ValueError("the check sum is wrong")
    if book["schema"] > SCHEMA:
        raise RunError(f"the ledger {str(path)!r} was written by a newer version of synthgap; update this one")
    return _checked(book), text


def _checked(book: dict[str, Any]) -> dict[str, Any]:
    """The book, where all its amounts are such. Raises ``ValueError``: no limit holds where one is negative or NaN."""
    amounts = [book[name] for name in ("spent_usd", "tokens", "estimated_usd", "estimated_tokens")]
    for item in book["reserved"].values():
        amounts += item["usd"], item["tokens"]
        if not _is_amount(item["time"]) or type(item["pid"]) is not int or type(item["attempts"]) is not int:
            raise ValueError("a reservation is none")
    if not all(map(_is_amount, amounts)):
        raise ValueError("an amount is none")
    return book


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _current(book: dict[str, Any]) -> dict[str, Any]:
    """A book of version 1 as one of this version."""
    return {
        "schema": SCHEMA,
        "spent_usd": book["spent_usd"],
        "tokens": book["tokens"],
        "estimated_usd": 0.0,
        "estimated_tokens": 0,
        "reserved": {
            name: {key: item[key] for key in ("usd", "tokens", "pid", "host", "time")}
            | {"attempts": 1, "session": None}  # processes were known by their number alone
            for name, item in book["reserved"].items()
        },
        "unpriced": list(book.get("unpriced", [])),
    }


def _settle(book: dict[str, Any], change: Settle) -> None:
    worst = change.reservation.worst
    held = book["reserved"].get(change.reservation.holding)
    if held is not None:
        held["attempts"] -= 1
        held["usd"] = max(0.0, held["usd"] - worst.usd)  # rounding
        held["tokens"] -= worst.tokens
        if held["attempts"] == 0:
            del book["reserved"][change.reservation.holding]
    _spend(book, change.usd, change.tokens, change.estimated)


def _spend(book: dict[str, Any], usd: float, tokens: int, estimated: bool) -> None:
    book["spent_usd"] += usd
    book["tokens"] += tokens
    if estimated:
        book["estimated_usd"] += usd
        book["estimated_tokens"] += tokens


def _bury(book: dict[str, Any], folder: Path) -> None:
    """Count what dead processes had reserved as spent."""
    here = socket.gethostname()
    for holding, item in list(book["reserved"].items()):
        if item["host"] != here:
            lost = abs(time.time() - item["time"]) > LONGEST_CALL  # from the future: a clock was set back
        else:
            session = item["session"]
            lost = not (_holds(folder, session) if session else _is_alive(item["pid"]))
        if lost:
            del book["reserved"][holding]
            _spend(book, item["usd"], item["tokens"], estimated=True)


_sessions: dict[tuple[Path, int], tuple[str, FileLock]] = {}
_naming = threading.Lock()


def _session(folder: Path) -> str:
    """Names this process in the ledgers of a folder; it holds a lock of that name for as long as it lives.

    A process's number would not do: another process may have it later.
    """
    key = folder, os.getpid()  # a forked process is another one
    with _naming:
        if key not in _sessions:
            name = uuid.uuid4().hex[:16]
            lock = FileLock(_lock_of(folder, name), thread_local=False)
            lock.acquire(timeout=LOCKED)
            _sessions[key] = name, lock
            atexit.register(lock.release)
        return _sessions[key][0]


def _lock_of(folder: Path, session: str) -> Path:
    place = folder / "sessions"
    place.mkdir(exist_ok=True)
    return place / f"{session}.lock"


def _holds(folder: Path, session: str) -> bool:
    """Whether the process of a session lives: the operating system drops its lock with it."""
    if session == _session(folder):
        return True
    path = _lock_of(folder, session)
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    path.unlink(missing_ok=True)
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
