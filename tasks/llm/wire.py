"""The connections of litellm's calls: each request is sent once, and complete answers are kept.

litellm itself sends a request again if its connection breaks, although the provider may have answered the first one
and may bill it.
"""

import asyncio
import atexit
import contextlib
import functools
import ssl
from contextvars import ContextVar

import httpx

from tasks.llm import loop
from tasks.llm.library import AsyncHTTPHandler, LiteLLMAiohttpTransport, get_ssl_configuration

HEARD: ContextVar[list[bytes]] = ContextVar("heard")
"""Collects the bodies of a call's complete and successful answers."""

SENT_BY = frozenset(
    {
        "anthropic", "deepseek", "fireworks_ai", "gemini", "groq", "hosted_vllm", "mistral", "ollama_chat", "openai",
        "openrouter", "perplexity", "together_ai", "xai",
    }
)  # fmt: skip
"""Providers for which litellm uses a client that is passed to it; some others accept a client of another kind."""
LONGEST_CLOSE = 1.0
"""Seconds that the process waits for its connections when it ends."""
DECODED = {b"content-encoding", b"content-length", b"transfer-encoding"}
"""Headers that are wrong once an answer is read and decoded."""


class Wire(LiteLLMAiohttpTransport):  # type: ignore[misc]
    """litellm's own transport, with the settings of its own clients, but without repeating requests."""

    def __init__(self) -> None:
        verify = get_ssl_configuration()
        context = verify if isinstance(verify, ssl.SSLContext) else None
        checked = verify if isinstance(verify, bool) else None
        made = AsyncHTTPHandler.create_aiohttp_transport(ssl_context=context, ssl_verify=checked)
        super().__init__(client=made.client, ssl_verify=False if verify is False else context)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once and read its answer to the end."""
        try:
            response = await super().handle_async_request(request)
            content = await response.aread()
        except (httpx.ConnectError, httpx.RemoteProtocolError) as error:
            raise httpx.NetworkError(str(error), request=request) from error
        if response.is_success:
            HEARD.get([]).append(content)
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in DECODED]
        return httpx.Response(response.status_code, headers=headers, content=content, request=request)


@functools.cache
def client() -> AsyncHTTPHandler | None:
    """The only client of this process; null if the environment makes litellm use another transport."""
    if not AsyncHTTPHandler.should_use_aiohttp_transport():
        return None
    made = AsyncHTTPHandler(transport=Wire())
    atexit.register(_close, made)
    return made


def _close(handler: AsyncHTTPHandler) -> None:
    """Close the connections when the process ends, because aiohttp warns of open ones."""
    with contextlib.suppress(TimeoutError, RuntimeError):
        loop.run(asyncio.wait_for(handler.close(), LONGEST_CLOSE))
