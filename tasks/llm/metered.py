"""One paid call: its maximum cost is reserved, its answer is journaled before it is used, its true cost is settled.

If another model answers, the work ends, but only after the answer was journaled, because it is paid for.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from tasks.config import GeneratorConfig
from tasks.errors import RunError
from tasks.llm.calls import Completion, CompletionFunction, Request, UnwantedError
from tasks.llm.journal import Entry, Journal
from tasks.llm.ledger import BudgetReachedError, Ledger
from tasks.llm.model_names import same_model
from tasks.llm.prices import counted_price
from tasks.llm.spending import Spending

LOGGER = logging.getLogger("synthgap")


def connect(generator: GeneratorConfig) -> CompletionFunction:
    """The completion function of a generator. Raises ``RunError`` or ``UserError`` if it cannot be called."""
    from tasks.llm import gateway  # takes seconds

    gateway.prepare(generator)
    return gateway.complete


def spending_of(generator: GeneratorConfig, ledger: Ledger | None) -> Spending:
    """The spending of a generator's calls in a ledger; logs a warning if the budget cannot limit it.

    Raises ``UserError`` for a generator that an operator's cap does not allow.
    """
    spending = Spending(ledger, counted_price(generator, ledger.cap_usd, ledger.cap_tokens) if ledger else None)
    if ledger and spending.unenforceable and ledger.first_without_price(generator.model):
        LOGGER.warning(
            "the price of %s is unknown: the budget of $%g cannot be enforced, only its tokens are counted; set "
            "budget_tokens, or its price, in the study", generator.model, ledger.limit_usd
        )  # fmt: skip
    return spending


class MeteredCalls:
    """The calls of one run that are written to one journal."""

    def __init__(self, journal: Journal, complete: CompletionFunction, spending: Spending) -> None:
        self._journal, self._complete, self._spending = journal, complete, spending
        self._failed = False
        self._session, self._start = uuid.uuid4().hex[:12], time.monotonic()

    async def call(self, call: str, request: Request) -> Entry:
        """Make a call, unless another one fails before it is sent.

        Raises ``BudgetReachedError``, ``RunError`` for no answer or one by another model, and ``UnwantedError`` for a
        call that was not made.
        """
        async with self._spending.payment(request) as payment:  # settled with the next call's reservation
            request = replace(request, wanted=partial(self._wanted, request.wanted), attempts=payment)
            begun = time.monotonic()
            try:
                completion = await self._complete(request)
            except (UnwantedError, BudgetReachedError):
                raise
            except Exception:
                self._failed = True
                raise
            payment.answered(completion)
            entry = self._entry(call, request, completion, time.monotonic() - begun)
            same = same_model(request.generator.model, entry.model)
            self._failed = self._failed or not same  # no more calls are sent
            try:
                await self._journal.append(entry)
            except BaseException:
                self._failed = True  # such as a full disk: further answers would be paid for and lost
                raise
        if not same:
            raise RunError(
                f"asked for {request.generator.model!r}, but {entry.model!r} answered; "
                "name the model as its provider does"
            )
        return entry

    def _wanted(self, wanted: Callable[[], bool]) -> bool:
        return not self._failed and wanted()

    async def settled(self) -> None:
        """Wait until the ledger contains the cost of every call."""
        await self._spending.settled()

    def _entry(self, call: str, request: Request, completion: Completion, seconds: float) -> Entry:
        return Entry(
            call=call,
            prompt=request.prompt_hash,
            seed=request.seed,
            answers=completion.answers,
            asked=request.generator.model,
            model=completion.model,
            tokens_in=completion.tokens_in,
            tokens_out=completion.tokens_out,
            cost_usd=completion.cost_usd,
            session=self._session,
            elapsed=round(time.monotonic() - self._start, 3),
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=round(seconds, 4),
            estimated=completion.estimated,
        )
