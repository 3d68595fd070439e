"""Providers of generators: checks before the first call, the key of calls, and the models that they serve."""

import contextlib
import os
from typing import Any

import httpx

from tasks.config import GeneratorConfig, misleading
from tasks.errors import RunError, UserError
from tasks.llm.hosts import NO_KEY, key_for, own_key, provider_of, speaks
from tasks.llm.library import all_litellm_params, exceptions, litellm

NO_KEY_SENT = "; none was sent, since a provider's key goes to its own hosts only: name this server's in api_key_env"
"""Hint if an address requires a key and got none."""
NOT_CALLED = ("chatgpt", "github_copilot", "petals", "vllm")
"""Providers that wait for a person to log in, or that load a model into this process."""
AMBIENT = {"bedrock", "bedrock_converse", "sagemaker", "sagemaker_chat", "vertex_ai", "vertex_ai_beta"}
"""Providers whose credentials may be in a file or belong to the machine, so that only the first call can check them."""
INSTEAD = {"AZURE_API_KEY": ("AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN", "AZURE_CLIENT_SECRET")}
"""Variables that can replace another one that is not set."""
CONTROLS = frozenset(all_litellm_params) - {
    "api_version", "bos_token", "ensure_alternating_roles", "eos_token", "merge_reasoning_content_in_choices",
    "region_name", "supports_system_message", "use_chat_completions_api",
}  # fmt: skip
"""litellm's own parameters, which control how and where it calls, logs and bills, without those that affect a prompt or
an answer and those that a provider's address needs."""


def missing_variables(generator: GeneratorConfig) -> list[str]:
    """Variables that litellm requires and that are not set. litellm lists all of a provider if one is missing."""
    names: list[str] = litellm.validate_environment(generator.model)["missing_keys"]
    given = {name.lower() for name in generator.params}
    return [
        name
        for name in names
        if not any(map(os.environ.get, (name, *INSTEAD.get(name, ())))) and name.lower().partition("_")[2] not in given
    ]


def check_call(generator: GeneratorConfig) -> None:
    """Raise ``UserError`` for a model or parameter that a call must not have.

    A provider may list any name, and litellm takes any parameter.
    """
    who = f"generator {generator.model!r}"
    if why := misleading(generator.model):
        raise UserError(f"{who} {why}")
    if provider_of(generator.model) in NOT_CALLED:
        raise UserError(f"{who}: provider {provider_of(generator.model)!r} cannot be called from a run")
    if controls := sorted(CONTROLS.intersection(generator.params)):
        raise UserError(f"{who}: params.{controls[0]} is a setting of litellm, not of the model; remove it")


def key_of(generator: GeneratorConfig) -> str | None:
    """The key of a generator's calls; null if litellm takes the provider's own from the environment."""
    who, provider = f"generator {generator.model!r}", provider_name(generator.model)
    return key_for(who, provider, generator.api_base, generator.api_key_env)


def provider_name(model: str) -> str:
    """The provider that litellm derives from a model's name."""
    if "/" not in model:
        with contextlib.suppress(exceptions.BadRequestError):  # reported where the name is checked
            return str(litellm.get_llm_provider(model)[1])
    return provider_of(model)


def list_models(provider: str, api_base: str | None, api_key_env: str | None = None) -> list[str]:
    """Names of the models that a provider lists; for a user's endpoint, those of ``<api_base>/models``.

    Raises ``RunError`` if the provider does not answer or refuses, or if litellm cannot ask it; ``UserError`` like
    ``key_for``. litellm's own ``get_valid_models`` would return an empty list in these cases, or a table from the time
    of its release.
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
        why = _listing_error(error) + (NO_KEY_SENT if key == NO_KEY and _status(error) in (401, 403) else "")
        raise RunError(f"{where} does not list its models: {why}") from None


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _list_endpoint(api_base: str, key: str | None) -> list[str]:
    headers = {"Authorization": f"Bearer {key}"} if key and key != NO_KEY else {}
    response = httpx.get(f"{api_base.rstrip('/')}/models", headers=headers, timeout=30)
    response.raise_for_status()
    return [str(model["id"]) for model in response.json()["data"]]


def _lister(provider: str) -> Any:
    """Litellm's client for a provider's list of models."""
    named = provider in {item.value for item in litellm.LlmProviders}
    find = litellm.utils.ProviderConfigManager.get_provider_model_info
    if not named or not (found := find(None, litellm.LlmProviders(provider))):
        raise RunError(f"provider {provider!r}: litellm cannot list its models; give it an api_base, or leave it out")
    return found


def _listing_error(error: Exception) -> str:
    """The failure, without the body of the answer, because some providers repeat the key in it."""
    if (status := _status(error)) is not None:
        return f"status {status}"
    if isinstance(error, httpx.TransportError):
        return "it cannot be reached"
    return f"{type(error).__name__}; is its API key in the environment?"
