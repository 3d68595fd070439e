"""One short call that shows whether an LLM is still served. An LLM that is not listed may still be served."""

from dataclasses import replace

from tasks.config import GeneratorConfig
from tasks.errors import RunError
from tasks.llm import loop
from tasks.llm.calls import CompletionFunction, Request
from tasks.llm.ledger import BudgetReachedError, Ledger
from tasks.llm.metered import connect, spending_of

GREETING = ({"role": "user", "content": "Say hello."},)
LONGEST = 16
"""Tokens of the answer; some providers refuse to be asked for fewer."""


def ping_model(generator: GeneratorConfig, ledger: Ledger | None, complete: CompletionFunction | None = None) -> None:
    """Send one short call and ignore the answer.

    Raises ``GoneError`` if the provider says that it does not serve the model, ``RunError`` if this stays unknown: no
    answer, or a budget that allows no call.
    """
    loop.run(_ask(Request(GREETING, generator, LONGEST, seed=0), ledger, complete or connect(generator)))


async def _ask(request: Request, ledger: Ledger | None, complete: CompletionFunction) -> None:
    spending = spending_of(request.generator, ledger)
    try:
        async with spending.payment(request) as payment:
            payment.answered(await complete(replace(request, attempts=payment)))
    except BudgetReachedError as limit:
        raise RunError(str(limit)) from None
    finally:
        await spending.settled()
