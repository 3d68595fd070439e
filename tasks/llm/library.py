"""The only import of litellm, which reads its settings from the environment when it is imported.

The import takes seconds.
"""

import os

for _name, _value in {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise it downloads prices when it is imported
    "EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER": "True",  # without OpenAI's client, which takes 3 ms of CPU a call
    "LITELLM_LOG": "ERROR",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)

import litellm  # noqa: E402
from litellm import exceptions  # noqa: E402
from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport  # noqa: E402
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, get_ssl_configuration  # noqa: E402
from litellm.types.utils import all_litellm_params  # noqa: E402

__all__ = [
    "AsyncHTTPHandler",
    "LiteLLMAiohttpTransport",
    "all_litellm_params",
    "exceptions",
    "get_ssl_configuration",
    "litellm",
]
