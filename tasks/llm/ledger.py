"""Limits the spending of a run on LLM calls: one ledger on disk, shared by all its processes.

Before every attempt of a call its maximum cost is reserved, and afterwards its true cost is settled, so the spending
never exceeds the limit. An attempt whose answer was lost may have been billed, so its maximum cost counts as spent; the
reservations of a killed process do, too. A ledger is written twice, its copy first, so that damage to one file loses
nothing; if both are damaged, nothing more is spent.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from tasks.config import StudyConfig
from tasks.errors import RunError, writing
from tasks.files import make_folder, replace_files
from tasks.jsonl import DamagedError
from tasks.llm.book import Book, from_file, sealed, to_text
from tasks.llm.sessions import LOCKED, session_of
from tasks.progress import LOGGER
from tasks.records import content_key
from tasks.settings import Settings

N = TypeVar("N", int, float)


class BudgetReachedError(Exception):
    """No further call is allowed; the message says which limit is reached."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Reserve the most that an attempt may cost."""

    usd: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """The amount that is reserved for an attempt."""

    holding: str
    """Name of the ledger's sum that contains it."""
    worst: Reserve


@dataclass(frozen=True, slots=True)
class Settle:
    """Replace a reservation by the cost of its attempt."""

    reservation: Reservation
    usd: float
    tokens: int
    estimated: bool = False
    """Whether these are upper bounds, because the true cost is unknown."""


@dataclass(frozen=True, slots=True)
class Booked:
    """The spending in a ledger."""

    usd: float
    tokens: int
    estimated_usd: float
    """The part of it that consists of upper bounds."""
    estimated_tokens: int


Outcome = Reservation | BudgetReachedError | None
"""The result of a change of a ledger: what ``Ledger.reserve`` returns or raises; null for a ``Settle``."""


class Ledger:
    """The spending of one run, in dollars and tokens. Null means no limit; spending is recorded in any case.

    ``limit_usd`` and ``limit_tokens`` are the study's, ``cap_usd`` and ``cap_tokens`` those of the operator of
    this installation; the lower ones count.
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
        """Reserve the most that a call may cost; returns the reservation, or null if it must wait for calls in flight.

        Raises ``BudgetReachedError`` if a limit would be exceeded even if those calls cost nothing.
        """
        [outcome] = self.book([Reserve(worst_usd, worst_tokens)])
        if isinstance(outcome, BudgetReachedError):
            raise outcome
        return outcome

    def settle(self, reservation: Reservation, cost_usd: float, tokens: int) -> None:
        """Replace a reservation by the cost of its call."""
        self.book([Settle(reservation, cost_usd, tokens)])

    def book(self, changes: Sequence[Reserve | Settle]) -> list[Outcome]:
        """Make several changes in one write, in their order; returns the outcome of each."""
        outcomes: list[Outcome] = []
        with self._open() as book:
            for change in changes:
                if isinstance(change, Reserve):
                    outcomes.append(self._reserved(book, change))
                else:
                    worst = change.reservation.worst
                    book.release(change.reservation.holding, worst.usd, worst.tokens)
                    book.spend(change.usd, change.tokens, change.estimated)
                    outcomes.append(None)
        return outcomes

    def _reserved(self, book: Book, worst: Reserve) -> Outcome:
        held = book.reserved.values()
        usd, tokens = book.spent_usd + worst.usd, book.tokens + worst.tokens
        for limit, cap, most, reserved, name, unit in (
            (self.limit_usd, self.cap_usd, usd, sum(item.usd for item in held), "${:g}", "USD"),
            (self.limit_tokens, self.cap_tokens, tokens, sum(item.tokens for item in held), "{:,} tokens", "TOKENS"),
        ):
            if limit is not None and most > limit:
                whose = f", which SYNTHGAP_MOST_{unit} sets," if limit == cap else ""
                return BudgetReachedError(f"the budget of {name.format(limit)}{whose} is reached")
            if limit is not None and most + reserved > limit:
                return None
        return Reservation(book.hold(worst.usd, worst.tokens, session_of(self.path.parent)), worst)

    def first_without_price(self, model: str) -> bool:
        """Whether this is the run's first call of a model without a price; the model is recorded."""
        with self._open() as book:
            if model in book.unpriced:
                return False
            book.unpriced.append(model)
            return True

    @property
    def spent_usd(self) -> float:
        """Dollars spent so far, by all processes."""
        return self.booked.usd

    @property
    def booked(self) -> Booked:
        """The spending so far, of all processes."""
        with self._open() as book:
            return Booked(book.spent_usd, book.tokens, book.estimated_usd, book.estimated_tokens)

    @property
    def holders(self) -> str:
        """The processes that hold reservations, for display."""
        with self._open() as book:
            return ", ".join(sorted(f"{item.pid} on {item.host}" for item in book.reserved.values()))

    @contextlib.contextmanager
    def _open(self) -> Iterator[Book]:
        with writing("the ledger", self.path):
            make_folder(self.path.parent)
            try:
                with FileLock(f"{self.path}.lock", timeout=LOCKED):
                    book, before = self._read()
                    book.expire_reservations(self.path.parent)
                    yield book
                    if (after := to_text(book)) != before:
                        replace_files(dict.fromkeys((self._copy, self.path), sealed(after)))
            except Timeout:
                raise RunError(
                    f"another process has kept the ledger {str(self.path)!r} locked for {LOCKED:g} s; "
                    "the process may be suspended; end it, then run again"
                ) from None

    @property
    def _copy(self) -> Path:
        return self.path.with_name(f"{self.path.name}.copy")

    def _read(self) -> tuple[Book, str]:
        """The book, as an object and as text; from the copy if the file itself is damaged.

        Raises ``RunError`` if both are.
        """
        if not self.path.exists() and not self._copy.exists():
            return (book := Book()), to_text(book)
        for path in (self.path, self._copy):
            with contextlib.suppress(DamagedError, FileNotFoundError):
                return from_file(path.read_bytes(), path)
            if path.exists():
                LOGGER.warning("the ledger %s is damaged%s", path, "; its copy is used" if path == self.path else "")
        raise RunError(
            f"the ledger {str(self.path)!r} is damaged, so what was spent is unknown and nothing more is spent; "
            f"to begin again at $0, remove it and {self._copy.name!r}"
        )


def _lower(one: N | None, other: N | None) -> N | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def study_ledger(settings: Settings, config: StudyConfig, run: str) -> Ledger:
    """The ledger of a study's run: its own, or that of its account, which other studies may share."""
    limits = config.budget_usd, config.budget_tokens
    return open_account(settings, config.account, *limits) if config.account else open_ledger(settings, run, *limits)


def open_ledger(settings: Settings, run: str, limit_usd: float | None, limit_tokens: int | None = None) -> Ledger:
    """The ledger of a run by its id."""
    return open_account(settings, content_key(run), limit_usd, limit_tokens)


def open_account(settings: Settings, account: str, limit_usd: float | None, limit_tokens: int | None = None) -> Ledger:
    """The ledger that all runs with this account share."""
    path = settings.home / "budgets" / f"{account}.json"
    return Ledger(path, limit_usd, limit_tokens, settings.most_usd, settings.most_tokens)
