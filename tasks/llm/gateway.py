"""Makes all LLM calls: with litellm, whose own retries and fallbacks are off, and with tenacity's retries.

Import this module only right before a call, because the import of litellm takes seconds. ``providers`` decides what may
be sent to a provider, ``failures`` interprets its errors, ``responses`` reads its answers.
"""

import asyncio
import random
import threading
import time
from functools import partial
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from tasks.config import GeneratorConfig
from tasks.errors import GoneError, RunError
from tasks.llm import calls, embedded, wire
from tasks.llm.calls import Completion, Request
from tasks.llm.failures import (
    GONE,
    describe_failure,
    has_no_money,
    is_filtered,
    is_refused,
    is_transient,
    is_unreachable,
    may_be_billed,
    retry_after,
)
from tasks.llm.hosts import LOCAL
from tasks.llm.library import exceptions, litellm
from tasks.llm.providers import AMBIENT, check_call, key_of, missing_variables, provider_name
from tasks.llm.responses import filtered_completion, read_completion, read_salvaged
from tasks.llm.throttle import GivenUpError, Permit, Throttle

ATTEMPTS = 6
"""How often a call is sent before it counts as failed. Refusals for lack of capacity (429) do not count."""
UNREACHABLE_ATTEMPTS = 3
"""The same for an endpoint to which no connection can be made."""
BREAKS, UNREACHABLE_BREAKS = 6, 3
"""How often the circuit opens in a row, with pauses of a minute or of 6 seconds in total, before a provider that fails
every call, or cannot be reached, is given up."""
PATIENCE = 600.0
"""Seconds without any answer after which a provider that refuses calls is given up, and seconds for which a single call
may be refused while others are answered."""
REFUSALS = 10
"""Fewest refusals of such a call before it is given up."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before a failed call is repeated, doubled each time, and their maximum."""


class _Embedded(litellm.CustomLLM):  # type: ignore[misc]
    """The packaged LLM as a litellm provider."""

    async def acompletion(self, model: str, messages: list[Any], optional_params: dict[str, Any], **_: Any) -> Any:
        extra = optional_params.get("extra_body") or {}
        params = {name: value for name, value in optional_params.items() if name != "extra_body"}
        server = await asyncio.to_thread(embedded.server, f"{embedded.PROVIDER}/{model}")
        answer = await server.chat({"messages": messages, **params, **extra})
        return litellm.ModelResponse(
            **{name: answer[name] for name in ("id", "choices", "created", "usage", "object")}, model=model
        )


_ready = threading.Lock()


def prepare(generator: GeneratorConfig) -> None:
    """Check that a generator can be called, before any call is made.

    Raises ``RunError`` for a missing API key or package, ``UserError`` for an unknown embedded model, and for a key or
    parameter that must not be sent to its address.
    """
    with _ready:
        litellm.suppress_debug_info = True
        litellm.num_retries = 0
        if not any(item["provider"] == embedded.PROVIDER for item in litellm.custom_provider_map):
            litellm.custom_provider_map.append({"provider": embedded.PROVIDER, "custom_handler": _Embedded()})
            litellm.utils.custom_llm_setup()
    if embedded.is_embedded(generator.model):
        embedded.weights(generator.model)
        return
    check_call(generator)
    key = key_of(generator)
    try:
        provider = litellm.get_llm_provider(generator.model, api_base=generator.api_base, api_key=key)[1]
    except exceptions.BadRequestError:
        raise RunError(
            f"generator {generator.model!r}: litellm knows no such provider; write provider/model, such as "
            "openai/gpt-4o-mini, or openai/NAME with api_base for an endpoint of your own"
        ) from None
    if missing := [] if generator.api_base or key or provider in (LOCAL | AMBIENT) else missing_variables(generator):
        raise RunError(f"generator {generator.model!r} needs {' and '.join(missing)} in the environment")


_throttles: dict[tuple[Any, ...], Throttle] = {}


def throttle(generator: GeneratorConfig) -> Throttle:
    """The throttle of this process for a model at an endpoint; all syntheses share the provider's limits."""
    limits = generator.concurrency, generator.requests_per_minute, generator.tokens_per_minute
    key = generator.model, generator.api_base, generator.api_key_env, *limits
    if key not in _throttles:
        _throttles[key] = Throttle(*limits, name=generator.model)
    return _throttles[key]


async def complete(request: Request, first_wait: float = FIRST_WAIT, patience: float = PATIENCE) -> Completion:
    """Send a request as soon as the provider's limits allow; repeat it while the provider is busy or unreachable.

    ``first_wait`` and ``patience`` are in seconds. Raises ``RunError`` if the provider stays busy or unreachable, or
    refuses the request or the key; ``UnwantedError`` if the request is no longer wanted when its turn comes;
    ``BudgetReachedError`` if the budget does not allow to repeat it.
    """
    generator = request.generator
    if embedded.is_embedded(generator.model):  # it has its own slots and no limits
        return read_completion(await litellm.acompletion(**_arguments(request)), request)
    gate = throttle(generator)
    attempts = _Attempts(gate, first_wait, patience)
    retrying = AsyncRetrying(
        retry=retry_if_exception(is_transient), stop=attempts.used_up, sleep=attempts.sleep, reraise=True
    )
    try:
        return await retrying(_send, request, gate)
    except litellm.openai.APIError as error:
        if is_filtered(error):
            return filtered_completion(request)
        why = describe_failure(generator, error, max(1, attempts.failed + attempts.refused))
        if getattr(error, "status_code", None) in GONE:
            raise GoneError(why, generator.model, generator.api_base, generator.api_key_env) from None
        if attempts.in_vain and gate.given_up == attempts.given_up:
            gate.give_up(why)
        raise RunError(why) from None
    except GivenUpError as error:
        raise RunError(str(error)) from None


class _Attempts:
    """Decides when to give up a call. Failures are limited by number; refusals by time, because the throttle delays
    refused calls.
    """

    def __init__(self, gate: Throttle, first_wait: float, patience: float) -> None:
        self.failed = self.refused = 0
        self._gate, self._begun, self._first_wait, self._patience = gate, time.monotonic(), first_wait, patience
        self._was_refused = False
        self.given_up = gate.given_up

    @property
    def in_vain(self) -> bool:
        """Whether no call was answered since this one was first made."""
        return self._gate.last_answer <= self._begun

    def used_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and has_no_money(error):
            return True
        self._was_refused = error is not None and is_refused(error)
        if self._was_refused:
            self.refused += 1
            now = time.monotonic()
            silent = now - max(self._begun, self._gate.last_answer) > self._patience
            alone = self.refused >= REFUSALS and now - self._begun > self._patience
            return silent or alone
        self.failed += 1
        away = error is not None and is_unreachable(error)
        if self._gate.breaks >= (UNREACHABLE_BREAKS if away else BREAKS) or self._gate.given_up > self.given_up:
            return True
        return self.failed >= (UNREACHABLE_ATTEMPTS if away else ATTEMPTS)

    async def sleep(self, _: float) -> None:
        """Wait after a failure, longer each time; a refused call waits for its permit instead."""
        if not self._was_refused:
            longer = self._first_wait * (2 ** (self.failed - 1) + random.random())
            await asyncio.sleep(min(LONGEST_WAIT, longer))


async def _send(request: Request, gate: Throttle) -> Completion:
    await request.attempts.reserve()
    async with gate.permit(request.most_tokens_in + request.most_tokens_out, request.wanted) as permit:
        with gate.waits.said(partial(_silent, request, gate, time.monotonic())):
            return await _watched(request, permit)


def _silent(request: Request, gate: Throttle, sent: float) -> str:
    """What a sent call waits for, for display; empty if another call was answered since."""
    return "" if gate.last_answer > sent else f"{request.generator.model}, which has not answered yet"


async def _watched(request: Request, permit: Permit) -> Completion:
    seconds = request.generator.timeout
    heard: list[bytes] = []
    wire.HEARD.set(heard)
    try:
        async with asyncio.timeout(seconds):  # in total: litellm's own time-out starts again with every byte
            response = await litellm.acompletion(**_arguments(request))
        completion = read_completion(response, request)
    except TimeoutError:
        permit.failed()
        request.attempts.lost()
        raise exceptions.Timeout(
            f"no whole answer within {seconds:g} s (timeout)", request.generator.model, ""
        ) from None
    except Exception as error:
        if heard and (unread := read_salvaged(heard[-1], request)):
            permit.answered()
            return unread
        if is_refused(error):
            if not has_no_money(error):
                permit.refused(retry_after(error))
            raise
        if is_transient(error):
            permit.failed()
        if may_be_billed(error):
            request.attempts.lost()
        raise
    permit.answered()
    return completion


def _arguments(request: Request) -> dict[str, Any]:
    generator = request.generator
    arguments = {
        "model": generator.model,
        "messages": list(request.messages),
        "max_tokens": request.max_tokens,
        "timeout": generator.timeout,
        "max_retries": 0,
        "num_retries": 0,
        **calls.sampling(generator),
    }
    if request.completions > 1:
        arguments["n"] = request.completions
    if request.response_format:
        arguments["response_format"] = request.response_format
    if embedded.is_embedded(generator.model):
        return arguments | {"seed": request.seed}
    if "seed" in (litellm.get_supported_openai_params(generator.model) or []):
        arguments["seed"] = request.seed
    if generator.api_base:
        arguments["api_base"] = generator.api_base
    if key := key_of(generator):
        arguments["api_key"] = key
    if provider_name(generator.model) in wire.SENT_BY and (client := wire.client()):
        arguments["client"] = client
    return arguments
