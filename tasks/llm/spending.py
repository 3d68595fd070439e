"""Books calls in a ledger: the maximum cost of each attempt before it is made, its true cost afterwards."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.errors import RunError, UserError
from tasks.llm.book import LONGEST_CALL
from tasks.llm.calls import Completion, Request, UnwantedError
from tasks.llm.ledger import BudgetReachedError, Ledger, Outcome, Reservation, Reserve, Settle
from tasks.llm.prices import Price
from tasks.progress import LOGGER
from tasks.waiting import Waits

PATIENCE = 0.05
"""Seconds between checks of a ledger that is full of reservations."""


class Spending:
    """The spending of one synthesis or interview in a ledger, by the price of its generator.

    A free generator writes nothing to the ledger. Changes that arrive while the ledger is being written are written
    together, so the cost of locking and rewriting for each call decreases with the number of calls.
    """

    def __init__(self, ledger: Ledger | None, price: Price | None, patience: float = LONGEST_CALL) -> None:
        counted = ledger is not None and ledger.limit_tokens is not None
        free = not counted and price is not None and price.free
        self.unenforceable = ledger is not None and ledger.limit_usd is not None and price is None
        """Whether there is a limit in dollars, but no price."""
        self.counts = ledger is not None and not free
        """Whether calls are recorded in the ledger."""
        self.price = price
        self._ledger = ledger or Ledger(Path(), None)
        self._patience = patience
        self._turn = asyncio.Lock()
        self._waits = Waits()
        self._waiting: list[tuple[Reserve | Settle, asyncio.Future[Outcome]]] = []
        self._write_task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._excess = False

    def payment(self, request: Request) -> "Payment":
        """The payment of a call, attempt by attempt."""
        return Payment(self, request)

    async def reserve(self, usd: float, tokens: int) -> Reservation:
        """Reserve the worst case of an attempt; wait while calls in flight have reserved the rest of the budget.

        Returns the reservation, which is settled later; raises ``BudgetReachedError``.
        """
        change = Reserve(usd, tokens)
        outcome = await self._booked(change) or await self._wait(change)
        if isinstance(outcome, BudgetReachedError):
            raise outcome
        return outcome

    async def _wait(self, change: Reserve) -> Reservation | BudgetReachedError:
        """The result of a reservation, once other calls are settled."""
        try:
            with self._waits.said(lambda: "the last of the budget, which calls under way hold, maybe of others"):
                async with asyncio.timeout(self._patience), self._turn:  # one waiting call checks for all
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
        """Warn once that a call cost more than its computed maximum, so that the limit may be exceeded."""
        if not self._excess:
            self._excess = True
            LOGGER.warning(
                "a call of %s cost $%.4g, but its length and price allow at most $%.4g; all of it is counted, "
                "and the budget may be exceeded by this difference for each call in flight", model, cost, worst
            )  # fmt: skip

    def settle(self, reservation: Reservation, usd: float, tokens: int, estimated: bool = False) -> None:
        """Replace the reservation of an attempt by its cost, as soon as the ledger can be written."""
        self._book(Settle(reservation, usd, tokens, estimated))

    async def settled(self) -> None:
        """Wait until the ledger contains everything that was settled. Raises ``RunError`` if it cannot be written."""
        while self._write_task is not None and not self._write_task.done():
            await asyncio.wait([self._write_task])
        if self._error is not None:
            raise self._error

    async def _booked(self, change: Reserve) -> Outcome:
        """The outcome of a reservation. If its call was cancelled in the meantime, the reservation is released."""
        done = self._book(change)
        try:
            return await done
        except asyncio.CancelledError:
            answered = done.done() and not done.cancelled() and done.exception() is None
            if answered and isinstance(outcome := done.result(), Reservation):
                self.settle(outcome, 0.0, 0)  # it was made while the call was cancelled
            raise

    def _book(self, change: Reserve | Settle) -> "asyncio.Future[Outcome]":
        """Write a change together with other waiting ones; the outcome is returned when it is on disk."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, done))
        if self._write_task is None or self._write_task.done():
            self._write_task = asyncio.create_task(self._write())  # a cancelled call must not interrupt it
        return done

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # other calls may add changes first
            mine, self._waiting = self._waiting, []
            try:
                outcomes = await asyncio.to_thread(self._ledger.book, [change for change, _ in mine])
            except Exception as error:
                for change, done in mine:
                    if isinstance(change, Settle):
                        self._error = error  # the reservation stays; waiting for the end raises the error
                    elif not done.done():
                        done.set_exception(error)
                continue
            for (_, done), outcome in zip(mine, outcomes, strict=True):
                if not done.done():
                    done.set_result(outcome)
                elif isinstance(outcome, Reservation):  # no call waits for this reservation any more
                    self.settle(outcome, 0.0, 0)


class Payment:
    """The payment of one call. As a context manager it reserves the first attempt and settles the last one.

    An attempt was not billed if it was not made, or if its error says so. After any other end, a cancellation
    included, the provider may have received the request.
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
        """Reserve the worst case of the next attempt, unless that is done; raises ``BudgetReachedError``."""
        if self._spending.counts and self._reservation is None:
            self._reservation = await self._spending.reserve(self._worst, self._tokens)

    def lost(self) -> None:
        """Count the worst case of the current attempt as spent."""
        self._book(self._worst, self._tokens, estimated=True)

    def answered(self, completion: Completion) -> None:
        """The current attempt was answered and has its cost, whatever happens to the answer."""
        self._completion = completion

    def _settle(self, completion: Completion) -> None:
        tokens = completion.tokens_in, completion.tokens_out
        cost, known = completion.cost_usd, self._spending.price
        if known is not None and (cost is None or self._generator.price):  # not counted under an operator's cap
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
