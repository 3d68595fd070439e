"""Whether the model that answered is the one that was called: providers add dates and versions to a name."""

import re

SUFFIX = re.compile(r"(?:[-@:](?:latest|preview|\d{4}-\d{2}-\d{2}|\d{8}|\d{2}-\d{2}|\d{3,4}|v\d+(?::\d+)?))+$")
"""Dates (2024-07-18, 20240718, 05-20), build numbers (001, 0613) and versions (v1:0) at the end of a name."""
DEPLOYMENTS = ("azure", "azure_ai", "sagemaker", "sagemaker_chat", "bedrock")
"""Providers at which a model has a name or address of the user's choice, so that answers cannot be compared."""


def same_model(asked: str, answered: str) -> bool:
    """Whether ``answered`` is the model ``asked``.

    A provider, folder and letter case make no difference; an answer may have a date or version that was not asked for.
    """
    if asked.split("/")[0] in DEPLOYMENTS:
        return True
    wanted, got = _name(asked), _name(answered)
    return got in (wanted, wanted.removesuffix("-latest")) or SUFFIX.sub("", got) == wanted.removesuffix("-latest")


def _name(model: str) -> str:
    return model.lower().rsplit("/", 1)[-1].removesuffix(".gguf")
