"""What an error of a call means: whether it is repeated, whether it may be billed, and what a person is told."""

import re
from collections.abc import Iterator

import aiohttp
import httpx

from tasks.config import GeneratorConfig
from tasks.llm.hosts import NO_KEY
from tasks.llm.library import exceptions
from tasks.llm.providers import NO_KEY_SENT, key_of

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

TRANSIENT = (
    exceptions.RateLimitError,
    exceptions.Timeout,
    exceptions.APIConnectionError,
    exceptions.InternalServerError,
    exceptions.ServiceUnavailableError,
    exceptions.BadGatewayError,
    exceptions.APIError,  # the class of its own of an answer that is no JSON, not the base of the others
)


def is_refused(error: BaseException) -> bool:
    """Whether the provider has no capacity for the call. litellm also guesses that from what an answer says."""
    return isinstance(error, exceptions.RateLimitError) and _status(error) in NO_CAPACITY


def may_be_billed(error: BaseException) -> bool:
    """Whether a provider may have answered, though the answer is lost: unless it refused, or was not reached."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.UnsupportedParamsError) or is_unreachable(error):
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


def has_no_money(error: BaseException) -> bool:
    """Whether the provider says that the account has no money left, rather than that it has no capacity for now."""
    status = _status(error)
    return status == PAYMENT_REQUIRED or (status in REFUSED and SPENT_UP.search(str(error)) is not None)


def is_transient(error: BaseException) -> bool:
    """Whether a call may be answered if it is repeated."""
    status = _status(error)
    for_good = status is not None and 300 <= status < 500 and status not in WAITED_OUT
    return isinstance(error, TRANSIENT) and not for_good


def is_filtered(error: BaseException) -> bool:
    """Whether a provider's content filter refused the prompt: an answer without a text, not a failure."""
    marks = ("content_filter", "content management policy", "content_policy")
    said = f"{getattr(error, 'code', '')} {error}".lower()
    return isinstance(error, exceptions.ContentPolicyViolationError) or any(mark in said for mark in marks)


def is_unreachable(error: BaseException) -> bool:
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


def retry_after(error: Exception) -> float | None:
    """Seconds after which a provider wants to be asked again; null where it does not say."""
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        value = (headers or {}).get("retry-after")
        if value and re.fullmatch(r"\d+(?:\.\d+)?", value.strip()):
            return float(value)
    return None


def describe_failure(generator: GeneratorConfig, error: Exception, attempts: int) -> str:
    """What went wrong, in one line that holds nothing of a refused key."""
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
