"""The one way to any LLM: litellm, with its own retries and fallbacks off and one retry layer, tenacity's.

The only importer of litellm, which takes seconds: import this module where a call is about to be made.
"""

import asyncio
import contextlib
import math
import os
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from tasks.config import GeneratorConfig, misleading
from tasks.errors import GoneError, RunError, UserError
from tasks.llm import calls, embedded
from tasks.llm.calls import Answer, Completion, Request
from tasks.llm.hosts import LOCAL, NO_KEY, key_for, own_key, provider_of, speaks
from tasks.llm.prices import price
from tasks.llm.salvage import salvaged
from tasks.llm.throttle import GivenUpError, Throttle, Turn

for _name, _value in {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network for prices at import
    "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER": "True",  # past OpenAI's client, which takes 3 ms of CPU a call
    "LITELLM_LOG": "ERROR",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)

import aiohttp  # noqa: E402
import httpx  # noqa: E402
import litellm  # noqa: E402
from litellm import exceptions  # noqa: E402
from litellm.types.utils import all_litellm_params  # noqa: E402

from tasks.llm import wire  # noqa: E402

ATTEMPTS = 6
"""Times that a call is sent before it counts as failed; a refusal for want of capacity (429) is none of them."""
UNREACHABLE_ATTEMPTS = 3
"""Times for an endpoint to which no connection comes about."""
BREAKS, UNREACHABLE_BREAKS = 6, 3
"""Times that the circuit opens in a row, with pauses of a minute or of 6 seconds in all, until a provider that fails
every call, or cannot be reached, is given up."""
PATIENCE = 600.0
"""Seconds without any answer after which a provider that refuses calls is given up, and seconds for which a single call
may be refused while others are answered."""
REFUSALS = 10
"""Times that such a call is refused at least, before it is given up."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before a failed call is repeated, doubled each time, and the most of them."""

LARGEST_WINDOW = 10_000_000
"""Tokens that no model reads or writes in one call: who says more has not counted."""
LOST_BY_PROXY = (408, 502, 504, *range(520, 528))
"""What stands between a provider and us answers when it has waited too long or the provider's answer broke: that may be
billed. A provider's own error, with any other status, is not."""
SPENT_UP = re.compile(
    r"insufficient_quota|billing_hard_limit_reached|credit balance is too low|insufficient (?:balance|credits)",
    re.IGNORECASE,
)
"""What a provider says to a customer who has no money left there; waiting does not help."""
PAYMENT_REQUIRED, REFUSED = 402, (400, 403, 429)
NO_CAPACITY = (429, 503)
"""Statuses of an answer that refuses a call for now: nothing was done for it."""
WAITED_OUT = (408, 409, 425, 429)
"""Of the statuses that blame the request, those that may be others a little later."""

GONE = (404, 410)
"""What a provider answers for a model that it does not serve, or not any more."""

NO_KEY_SENT = "; none was sent, since a provider's key goes to its own hosts only: name this server's in api_key_env"
"""Said where an address that got no key wants one."""
NOT_CALLED = ("chatgpt", "github_copilot", "petals", "vllm")
"""Providers that wait for a person to log in, or load a model into this process."""
AMBIENT = {"bedrock", "bedrock_converse", "sagemaker", "sagemaker_chat", "vertex_ai", "vertex_ai_beta"}
"""Providers whose credentials may stand in a file, or belong to the machine: the first call says whether they do."""
INSTEAD = {"AZURE_API_KEY": ("AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN", "AZURE_CLIENT_SECRET")}
"""Variables that do where another one is not set."""
CONTROLS = frozenset(all_litellm_params) - {
    "api_version", "bos_token", "ensure_alternating_roles", "eos_token", "merge_reasoning_content_in_choices",
    "region_name", "supports_system_message", "use_chat_completions_api",
}  # fmt: skip
"""litellm's own parameters, which say how and where it calls, logs and bills, but for those that shape a prompt or an
answer and those that a provider's address needs."""

TRANSIENT = (
    exceptions.RateLimitError,
    exceptions.Timeout,
    exceptions.APIConnectionError,
    exceptions.InternalServerError,
    exceptions.ServiceUnavailableError,
    exceptions.BadGatewayError,
    exceptions.APIError,  # the class of its own of an answer that is no JSON, not the base of the others
)


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
    """Check, before anything is asked, that a generator can be asked.

    Raises ``RunError`` that names a missing API key or package, ``UserError`` for an unknown embedded model and for a
    key or a parameter that may not go where it would.
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
    _check_call(generator)
    key = _key(generator)
    try:
        provider = litellm.get_llm_provider(generator.model, api_base=generator.api_base, api_key=key)[1]
    except exceptions.BadRequestError:
        raise RunError(
            f"generator {generator.model!r}: litellm knows no such provider; write provider/model, such as "
            "openai/gpt-4o-mini, or openai/NAME with api_base for an endpoint of your own"
        ) from None
    if missing := [] if generator.api_base or key or provider in (LOCAL | AMBIENT) else _missing(generator):
        raise RunError(f"generator {generator.model!r} needs {' and '.join(missing)} in the environment")


def _missing(generator: GeneratorConfig) -> list[str]:
    """Variables that litellm needs and nobody gave: it lists all of a provider's where one is not set."""
    names: list[str] = litellm.validate_environment(generator.model)["missing_keys"]
    given = {name.lower() for name in generator.params}
    return [
        name
        for name in names
        if not any(map(os.environ.get, (name, *INSTEAD.get(name, ())))) and name.lower().partition("_")[2] not in given
    ]


def _check_call(generator: GeneratorConfig) -> None:
    """A provider may list any name, and litellm takes any parameter."""
    who = f"generator {generator.model!r}"
    if why := misleading(generator.model):
        raise UserError(f"{who} {why}")
    if provider_of(generator.model) in NOT_CALLED:
        raise UserError(f"{who}: provider {provider_of(generator.model)!r} cannot be called from a run")
    if controls := sorted(CONTROLS.intersection(generator.params)):
        raise UserError(f"{who}: params.{controls[0]} is litellm's own and no parameter of the model; leave it out")


def _key(generator: GeneratorConfig) -> str | None:
    """The key of a generator's calls; null where litellm takes the provider's own from the environment."""
    who, provider = f"generator {generator.model!r}", _provider(generator.model)
    return key_for(who, provider, generator.api_base, generator.api_key_env)


def _provider(model: str) -> str:
    """Whom litellm takes a model for."""
    if "/" not in model:
        with contextlib.suppress(exceptions.BadRequestError):  # said where the name is checked
            return str(litellm.get_llm_provider(model)[1])
    return provider_of(model)


def list_models(provider: str, api_base: str | None, api_key_env: str | None = None) -> list[str]:
    """Names of the models that a provider says it serves; an endpoint of one's own is asked for ``<api_base>/models``.

    Raises ``RunError`` when it does not answer, refuses, or litellm cannot ask it, ``UserError`` like ``key_for``.
    litellm's own ``get_valid_models`` would answer with an empty list then, or with a table of what there was when it
    was released.
    """
    asked = speaks(provider, api_base) if api_base else provider
    key = key_for(f"provider {provider!r}", asked, api_base, api_key_env)
    try:
        if api_base:
            return _list_endpoint(api_base, key or own_key(asked))
        return list(_lister(provider).get_models(api_key=key))
    except RunError:
        raise
    except Exception as error:  # providers' own code raises plain Exception
        where = f"provider {provider!r}" + (f" at {api_base}" if api_base else "")
        why = _listing_error(error) + (NO_KEY_SENT if key == NO_KEY and _denied(error) else "")
        raise RunError(f"{where} does not list its models: {why}") from None


def _denied(error: Exception) -> bool:
    return getattr(getattr(error, "response", None), "status_code", None) in (401, 403)


def _list_endpoint(api_base: str, key: str | None) -> list[str]:
    headers = {"Authorization": f"Bearer {key}"} if key and key != NO_KEY else {}
    response = httpx.get(f"{api_base.rstrip('/')}/models", headers=headers, timeout=30)
    response.raise_for_status()
    return [str(model["id"]) for model in response.json()["data"]]


def _lister(provider: str) -> Any:
    """How litellm asks a provider."""
    named = provider in {item.value for item in litellm.LlmProviders}
    find = litellm.utils.ProviderConfigManager.get_provider_model_info
    if not named or not (found := find(None, litellm.LlmProviders(provider))):
        raise RunError(f"provider {provider!r}: litellm cannot list its models; give it an api_base, or leave it out")
    return found


def _listing_error(error: Exception) -> str:
    """What went wrong, without the body of the answer: some providers repeat the key in it."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is not None:
        return f"status {status}"
    if isinstance(error, httpx.TransportError):
        return "it cannot be reached"
    return f"{type(error).__name__}; is its API key in the environment?"


_throttles: dict[tuple[Any, ...], Throttle] = {}


def throttle(generator: GeneratorConfig) -> Throttle:
    """The one throttle of this process for a model at an endpoint: all its syntheses share the provider's limits."""
    limits = generator.concurrency, generator.requests_per_minute, generator.tokens_per_minute
    key = generator.model, generator.api_base, generator.api_key_env, *limits
    if key not in _throttles:
        _throttles[key] = Throttle(*limits, name=generator.model)
    return _throttles[key]


async def complete(request: Request, first_wait: float = FIRST_WAIT, patience: float = PATIENCE) -> Completion:
    """Send a request as soon as the provider's limits allow, repeating it while the provider is busy or out of reach.

    ``first_wait`` and ``patience`` are in seconds. Raises ``RunError`` when it stays so, when the provider refuses the
    request, or the key; ``UnwantedError`` when its turn comes after it is not wanted any more; ``BudgetReachedError``
    when it may not be repeated.
    """
    generator = request.generator
    if embedded.is_embedded(generator.model):  # has slots of its own and no limits
        return _completion(await litellm.acompletion(**_arguments(request)), request)
    gate = throttle(generator)
    attempts = _Attempts(gate, first_wait, patience)
    retrying = AsyncRetrying(
        retry=retry_if_exception(_is_transient), stop=attempts.used_up, sleep=attempts.sleep, reraise=True
    )
    try:
        return await retrying(_send, request, gate)
    except litellm.openai.APIError as error:
        if _filtered(error):
            return _filtered_completion(request)
        why = _failure(generator, error, max(1, attempts.failed + attempts.refused))
        if getattr(error, "status_code", None) in GONE:
            raise GoneError(why, generator.model, generator.api_base, generator.api_key_env) from None
        if attempts.in_vain and gate.given_up == attempts.given_up:
            gate.give_up(why)
        raise RunError(why) from None
    except GivenUpError as error:
        raise RunError(str(error)) from None


class _Attempts:
    """When to give a call up: refusals count by time, because the throttle spaces them, failures by number."""

    def __init__(self, gate: Throttle, first_wait: float, patience: float) -> None:
        self.failed = self.refused = 0
        self._gate, self._begun, self._first_wait, self._patience = gate, time.monotonic(), first_wait, patience
        self._was_refused = False
        self.given_up = gate.given_up

    @property
    def in_vain(self) -> bool:
        """No call at all was answered since this one was first made."""
        return self._gate.last_answer <= self._begun

    def used_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and _spent_up(error):
            return True
        self._was_refused = error is not None and _refused(error)
        if self._was_refused:
            self.refused += 1
            now = time.monotonic()
            silent = now - max(self._begun, self._gate.last_answer) > self._patience
            alone = self.refused >= REFUSALS and now - self._begun > self._patience
            return silent or alone
        self.failed += 1
        away = error is not None and _unreachable(error)
        if self._gate.breaks >= (UNREACHABLE_BREAKS if away else BREAKS) or self._gate.given_up > self.given_up:
            return True
        return self.failed >= (UNREACHABLE_ATTEMPTS if away else ATTEMPTS)

    async def sleep(self, _: float) -> None:
        """Wait after a failure, longer with each of them; a refused call waits for its turn."""
        if not self._was_refused:
            longer = self._first_wait * (2 ** (self.failed - 1) + random.random())
            await asyncio.sleep(min(LONGEST_WAIT, longer))


async def _send(request: Request, gate: Throttle) -> Completion:
    await request.attempts.reserve()
    async with gate.turn(request.most_tokens_in + request.most_tokens_out, request.wanted) as turn:
        with gate.waits.said(partial(_silent, request, gate, time.monotonic())):
            return await _watched(request, turn)


def _silent(request: Request, gate: Throttle, sent: float) -> str:
    """What a call waits for that was sent, for people; empty where another was answered since."""
    return "" if gate.last_answer > sent else f"{request.generator.model}, which has not answered yet"


async def _watched(request: Request, turn: Turn) -> Completion:
    seconds = request.generator.timeout
    heard: list[bytes] = []
    wire.HEARD.set(heard)
    try:
        async with asyncio.timeout(seconds):  # in all: litellm's own time-out begins anew with every byte
            response = await litellm.acompletion(**_arguments(request))
        completion = _completion(response, request)
    except TimeoutError:
        turn.failed()
        request.attempts.lost()
        raise exceptions.Timeout(
            f"no whole answer within {seconds:g} s (timeout)", request.generator.model, ""
        ) from None
    except Exception as error:
        if heard and (unread := _salvaged(heard[-1], request)):
            turn.answered()
            return unread
        if _refused(error):
            if not _spent_up(error):
                turn.refused(_retry_after(error))
            raise
        if _is_transient(error):
            turn.failed()
        if _may_be_billed(error):
            request.attempts.lost()
        raise
    turn.answered()
    return completion


def _refused(error: BaseException) -> bool:
    """Whether the provider has no capacity for the call. litellm also guesses that from what an answer says."""
    return isinstance(error, exceptions.RateLimitError) and _status(error) in NO_CAPACITY


def _may_be_billed(error: BaseException) -> bool:
    """Whether a provider may have answered, though the answer is lost: unless it refused, or was not reached."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.UnsupportedParamsError) or _unreachable(error):
        return False
    status = _status(error)
    return status is None or status in LOST_BY_PROXY


def _status(error: BaseException) -> int | None:
    """The status that an error answer came with; null where none came: litellm's errors make one up then."""
    for cause in _causes(error):
        if isinstance(cause, httpx.HTTPStatusError):
            return cause.response.status_code
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _spent_up(error: BaseException) -> bool:
    """Whether the provider says that the account has no money left, rather than that it has no capacity for now."""
    status = _status(error)
    return status == PAYMENT_REQUIRED or (status in REFUSED and SPENT_UP.search(str(error)) is not None)


def _is_transient(error: BaseException) -> bool:
    """Whether a call may be answered if it is repeated."""
    status = _status(error)
    for_good = status is not None and 300 <= status < 500 and status not in WAITED_OUT
    return isinstance(error, TRANSIENT) and not for_good


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
    if key := _key(generator):
        arguments["api_key"] = key
    if _provider(generator.model) in wire.SENT_BY and (client := wire.client()):
        arguments["client"] = client
    return arguments


def _completion(response: Any, request: Request) -> Completion:
    answers = tuple(
        Answer(choice.message.content or "", choice.finish_reason or "unknown") for choice in response.choices
    ) or (Answer("", "no_choice"),)
    model = response.model or ""
    if embedded.is_embedded(request.generator.model):
        return Completion(answers, model, response.usage.prompt_tokens, response.usage.completion_tokens, 0.0)
    thought = sum(
        len((getattr(choice.message, "reasoning_content", None) or "").encode()) for choice in response.choices
    )
    tokens_in, tokens_out, estimated = _tokens(response, request, answers, thought)
    cost = _cost(response, request.generator, tokens_in, tokens_out, estimated)
    return Completion(answers, model, tokens_in, tokens_out, cost, estimated)


def _salvaged(body: bytes, request: Request) -> Completion | None:
    """What a whole answer comes to that litellm cannot read; null where it is no chat completion."""
    found = salvaged(body)
    if found is None:
        return None
    answers, model = found
    known, tokens_in, tokens_out = price(request.generator), request.most_tokens_in, request.most_tokens_out
    cost = known.most(tokens_in, tokens_out) if known else None
    return Completion(answers, model, tokens_in, tokens_out, cost, estimated=True)


def _tokens(response: Any, request: Request, answers: Sequence[Answer], thought: int) -> tuple[int, int, bool]:
    """Tokens read and written, and whether they are the most that there can have been, since nobody can tell.

    ``thought`` is the size of what the model thought before it answered, in bytes.
    """
    usage = getattr(response, "usage", None)
    read, written = (_counted(getattr(usage, name, None)) for name in ("prompt_tokens", "completion_tokens"))
    silent = written == 0 and not thought and not any(item.text or item.finish_reason == "length" for item in answers)
    if read and (written or silent):
        return read, written or 0, False
    most_out = sum(_most_tokens(answer, request.max_tokens) for answer in answers) + thought
    return read or request.most_tokens_in, min(request.most_tokens_out, most_out), True


def _counted(tokens: object) -> int | None:
    """A number of tokens that can be true; null for any other."""
    return int(tokens) if isinstance(tokens, int | float) and 0 <= tokens <= LARGEST_WINDOW else None


def _most_tokens(answer: Answer, max_tokens: int) -> int:
    """Of an answer whose tokens nobody counted: no token is shorter than a byte. Without a text it may be thoughts."""
    if not answer.text or answer.finish_reason == "length":
        return max_tokens
    return len(answer.text.encode()) + calls.TEXT_TOKENS


def _cost(response: Any, generator: GeneratorConfig, tokens_in: int, tokens_out: int, estimated: bool) -> float | None:
    known = price(generator)
    if known is None:
        return None
    if estimated:
        return known.most(tokens_in, tokens_out)
    cost = 0.0
    if not generator.price:
        with contextlib.suppress(Exception):  # plain Exception, for a provider whose prices litellm cannot count by
            cost = float(litellm.completion_cost(completion_response=response, model=generator.model))
    return cost if 0 < cost < math.inf else known.of(tokens_in, tokens_out)


def _filtered_completion(request: Request) -> Completion:
    """What a refused prompt comes to: some providers bill it, as read."""
    known, tokens = price(request.generator), request.most_tokens_in
    cost = known.most(tokens, 0) if known else None
    return Completion((Answer("", "content_filter"),), request.generator.model, tokens, 0, cost, estimated=True)


def _filtered(error: BaseException) -> bool:
    """Whether a provider's content filter refused the prompt: an answer without a text, not a failure."""
    marks = ("content_filter", "content management policy", "content_policy")
    said = f"{getattr(error, 'code', '')} {error}".lower()
    return isinstance(error, exceptions.ContentPolicyViolationError) or any(mark in said for mark in marks)


def _unreachable(error: BaseException) -> bool:
    """Whether no connection came about; litellm reports that as an internal error of the server.

    One that broke later has the same error of httpx, but another of aiohttp: the request may have arrived.
    """
    causes = list(_causes(error))
    broken = any(
        isinstance(cause, aiohttp.ClientOSError) and not isinstance(cause, aiohttp.ClientConnectorError)
        for cause in causes
    )
    away = any(isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout) for cause in causes)
    return away and not broken


def _retry_after(error: Exception) -> float | None:
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        value = (headers or {}).get("retry-after")
        if value and re.fullmatch(r"\d+(?:\.\d+)?", value.strip()):
            return float(value)
    return None


def _failure(generator: GeneratorConfig, error: Exception, attempts: int) -> str:
    """What went wrong, in one line that holds nothing of a refused key."""
    who = f"generator {generator.model!r}" + (f" at {generator.api_base}" if generator.api_base else "")
    if isinstance(error, exceptions.AuthenticationError):
        return f"{who}: the provider refuses the API key" + (NO_KEY_SENT if _key(generator) == NO_KEY else "")
    if _spent_up(error):
        return f"{who}: the provider says that its account has no quota or money left; see to the billing there"
    if _unreachable(error):
        return f"{who} cannot be reached"
    if (status := getattr(error, "status_code", None)) in GONE:
        return f"{who}: the provider does not serve this model, or not any more (status {status})"
    return f"{who} failed: {str(error).splitlines()[0][:300]} ({attempts} attempt{'s' if attempts > 1 else ''})"
