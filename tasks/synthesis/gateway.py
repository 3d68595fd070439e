"""The one way to any LLM: litellm, with its own retries and fallbacks off and one retry layer of ours.

The only importer of litellm, which takes seconds: import this module where a call is about to be made.
"""

import asyncio
import itertools
import logging
import os
import random
import re
import threading
from typing import Any

from tasks.config import GeneratorConfig
from tasks.errors import RunError
from tasks.synthesis import calls, embedded
from tasks.synthesis.calls import Answer, Completion, Request

for _name, _value in {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network for prices at import
    "LITELLM_LOG": "ERROR",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)

import httpx  # noqa: E402
import litellm  # noqa: E402
from litellm import exceptions  # noqa: E402

LOGGER = logging.getLogger("synthgap")

ATTEMPTS = 6
"""Times that a call is sent before it counts as failed."""
UNREACHABLE_ATTEMPTS = 3
"""Times for an endpoint to which no connection comes about."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the first repetition, doubled each time, and the most that is waited, a server's own wish included."""

TRANSIENT = (
    exceptions.RateLimitError,
    exceptions.Timeout,
    exceptions.APIConnectionError,
    exceptions.InternalServerError,
    exceptions.ServiceUnavailableError,
    exceptions.BadGatewayError,
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

    Raises ``RunError`` that names a missing API key or package, ``UserError`` for an unknown embedded model.
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
    try:
        litellm.get_llm_provider(generator.model, api_base=generator.api_base)
    except exceptions.BadRequestError:
        raise RunError(
            f"generator {generator.model!r}: litellm knows no such provider; write provider/model, such as "
            "openai/gpt-4o-mini, or openai/NAME with api_base for an endpoint of your own"
        ) from None
    missing = [] if generator.api_base else litellm.validate_environment(generator.model)["missing_keys"]
    if missing:
        raise RunError(f"generator {generator.model!r} needs {' and '.join(missing)} in the environment")


async def complete(request: Request, first_wait: float = FIRST_WAIT) -> Completion:
    """Send a request, repeating it while the provider is busy or out of reach.

    ``first_wait`` is in seconds. Raises ``RunError`` when it stays so, when the provider refuses the request, or the
    key.
    """
    generator = request.generator
    for attempt in itertools.count(1):
        try:
            return _completion(await litellm.acompletion(**_arguments(request)), generator)
        except litellm.openai.APIError as error:
            if _filtered(error):
                return Completion((Answer("", "content_filter"),), generator.model, 0, 0, None)
            most = UNREACHABLE_ATTEMPTS if _unreachable(error) else ATTEMPTS if isinstance(error, TRANSIENT) else 1
            if attempt >= most:
                raise RunError(_failure(generator, error, attempt)) from None
            wait = _wait(error, attempt, first_wait)
            LOGGER.debug("%s: %s; again in %.1f s", generator.model, type(error).__name__, wait)
            await asyncio.sleep(wait)
    raise AssertionError("the loop above only ends by return or raise")


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
    if embedded.is_embedded(generator.model):
        return arguments | {"seed": request.seed}
    if "seed" in (litellm.get_supported_openai_params(generator.model) or []):
        arguments["seed"] = request.seed
    if generator.api_base:
        arguments["api_base"] = generator.api_base
        if litellm.validate_environment(generator.model)["missing_keys"]:
            arguments["api_key"] = "none"  # endpoints of one's own mostly ask for none, the client insists on one
    return arguments


def _completion(response: Any, generator: GeneratorConfig) -> Completion:
    answers = tuple(
        Answer(choice.message.content or "", choice.finish_reason or "unknown") for choice in response.choices
    )
    tokens = _usage(response)
    return Completion(answers or (Answer("", "no_choice"),), response.model or "", *tokens, _cost(response, generator))


def _usage(response: Any) -> tuple[int, int]:
    usage = getattr(response, "usage", None)
    return (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)


def _cost(response: Any, generator: GeneratorConfig) -> float | None:
    if embedded.is_embedded(generator.model):
        return 0.0
    try:
        return float(litellm.completion_cost(completion_response=response, model=generator.model))
    except Exception:  # litellm raises plain Exception for a model without a price: unknown, not zero
        return None


def _filtered(error: Exception) -> bool:
    """Whether a provider's content filter refused the prompt: an answer without a text, not a failure."""
    marks = ("content_filter", "content management policy", "content_policy")
    said = f"{getattr(error, 'code', '')} {error}".lower()
    return isinstance(error, exceptions.ContentPolicyViolationError) or any(mark in said for mark in marks)


def _unreachable(error: BaseException) -> bool:
    """Whether no connection came about; litellm reports that as an internal error of the server."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _wait(error: Exception, attempt: int, first_wait: float) -> float:
    wished = _retry_after(error)
    doubled = first_wait * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
    return min(LONGEST_WAIT, wished if wished is not None else doubled)


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
        return f"{who}: the provider refuses the API key"
    if _unreachable(error):
        return f"{who} cannot be reached"
    return f"{who} failed: {str(error).splitlines()[0][:300]} ({attempts} attempt{'s' if attempts > 1 else ''})"
