"""Whether the model that answered is the one that was asked: providers add dates and versions to a name."""

import re

SUFFIX = re.compile(r"(?:[-@:](?:latest|preview|\d{4}-\d{2}-\d{2}|\d{8}|\d{2}-\d{2}|\d{3,4}|v\d+(?::\d+)?))+$")
"""Dates (2024-07-18, 20240718, 05-20), build numbers (001, 0613) and versions (v1:0) at the end of a name."""
DEPLOYMENTS = ("azure", "azure_ai", "sagemaker", "sagemaker_chat", "bedrock")
"""Providers that know a model by a name or address of the user's own, with which no answer can be compared."""


def same_model(asked: str, answered: str) -> bool:
    """Whether ``answered`` is the model ``asked`` for, up to provider, folder, letter case, date and version."""
    if asked.split("/")[0] in DEPLOYMENTS:
        return True
    return _family(asked) == _family(answered)


def _family(name: str) -> str:
    last = name.lower().rsplit("/", 1)[-1].removesuffix(".gguf")
    return SUFFIX.sub("", last) or last
