"""Interprets an error of a call: whether the call is repeated, whether it may be billed, and the message."""

import re
from collections.abc import Iterator

import aiohttp
import httpx

from tasks.config import GeneratorConfig
from tasks.llm.hosts import NO_KEY
from tasks.llm.library import exceptions
from tasks.llm.providers import NO_KEY_SENT, key_of

LOST_BY_PROXY = (408, 502, 504, *range(520, 528))
"""Statuses of proxies that waited too long for a provider or lost its answer: the call may be billed. An error of the
provider itself, with any other status, is not billed."""
SPENT_UP = re.compile(
    r"insufficient_quota|billing_hard_limit_reached|credit balance is too low|insufficient (?:balance|credits)",
    re.IGNORECASE,
)
"""Messages of providers for an account without money; waiting does not help."""
PAYMENT_REQUIRED, REFUSED = 402, (400, 403, 429)
NO_CAPACITY = (429, 503)
"""Statuses that refuse a call for the moment: the provider did nothing for it."""
WAITED_OUT = (408, 409, 425, 429)
"""Statuses of client errors that may disappear after a while."""

GONE = (404, 410)
"""Statuses for a model that the provider does not serve or no longer serves."""

TRANSIENT = (
    exceptions.RateLimitError,
    exceptions.Timeout,
    exceptions.APIConnectionError,
    exceptions.InternalServerError,
    exceptions.ServiceUnavailableError,
    exceptions.BadGatewayError,
    exceptions.APIError,  # a separate class for an answer that is no JSON, not the base class of the others
)


def is_refused(error: BaseException) -> bool:
    """Whether the provider has no capacity for the call. litellm also guesses this from the text of an answer."""
    return isinstance(error, exceptions.RateLimitError) and _status(error) in NO_CAPACITY


def may_be_billed(error: BaseException) -> bool:
    """Whether a provider may have answered, although the answer is lost: unless it refused, or was not reached."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.UnsupportedParamsError) or is_unreachable(error):
        return False
    status = _status(error)
    return status is None or status in LOST_BY_PROXY


def _status(error: BaseException) -> int | None:
    """The status of an error answer; null if there was no answer, for which litellm's errors invent a status."""
    for cause in _causes(error):
        if isinstance(cause, httpx.HTTPStatusError):
            return cause.response.status_code
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def has_no_money(error: BaseException) -> bool:
    """Whether the provider says that the account has no money left, rather than no capacity at the moment."""
    status = _status(error)
    return status == PAYMENT_REQUIRED or (status in REFUSED and SPENT_UP.search(str(error)) is not None)


def is_transient(error: BaseException) -> bool:
    """Whether a repeated call may be answered."""
    status = _status(error)
    for_good = status is not None and 300 <= status < 500 and status not in WAITED_OUT
    return isinstance(error, TRANSIENT) and not for_good


def is_filtered(error: BaseException) -> bool:
    """Whether a provider's content filter refused the prompt: an answer without a text, not a failure."""
    marks = ("content_filter", "content management policy", "content_policy")
    said = f"{getattr(error, 'code', '')} {error}".lower()
    return isinstance(error, exceptions.ContentPolicyViolationError) or any(mark in said for mark in marks)


def is_unreachable(error: BaseException) -> bool:
    """Whether no connection was made; litellm reports this as an internal error of the server.

    A connection that broke later has the same error in httpx, but another one in aiohttp: the request may have arrived.
    """
    causes = list(_causes(error))
    broken = any(
        isinstance(cause, aiohttp.ClientOSError) and not isinstance(cause, aiohttp.ClientConnectorError)
        for cause in causes
    )
    away = any(isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout) for cause in causes)
    return away and not broken


def retry_after(error: Exception) -> float | None:
    """Seconds after which the provider asks to be called again; null if it does not say."""
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        value = (headers or {}).get("retry-after")
        if value and re.fullmatch(r"\d+(?:\.\d+)?", value.strip()):
            return float(value)
    return None


def describe_failure(generator: GeneratorConfig, error: Exception, attempts: int) -> str:
    """The failure in one line, without any part of a refused key."""
    who = f"generator {generator.model!r}" + (f" at {generator.api_base}" if generator.api_base else "")
    if isinstance(error, exceptions.AuthenticationError):
        return f"{who}: the provider refuses the API key" + (NO_KEY_SENT if key_of(generator) == NO_KEY else "")
    if has_no_money(error):
        return f"{who}: the provider says that its account has no quota or money left; see to the billing there"
    if is_unreachable(error):
        return f"{who} cannot be reached"
    if (status := getattr(error, "status_code", None)) in GONE:
        return f"{who}: the provider does not serve this model, or not any more (status {status})"
    return f"{who} failed: {str(error).splitlines()[0][:300]} ({attempts} attempt{'s' if attempts > 1 else ''})"
