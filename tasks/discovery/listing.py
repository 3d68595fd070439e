"""Asks a provider which LLMs it serves.

An error or an empty answer raises an exception, because it says nothing about models, and not that they were retired.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase

from tasks.config import GeneratorConfig, ProviderConfig
from tasks.errors import RunError, UserError
from tasks.llm import embedded
from tasks.llm.hosts import speaks

List = Callable[[ProviderConfig], tuple[GeneratorConfig, ...]]


def list_generators(provider: ProviderConfig) -> tuple[GeneratorConfig, ...]:
    """The provider's LLMs that match its patterns, sorted by name. Raises ``RunError`` if it lists none."""
    names = sorted(set(_names(provider)))
    if not names:
        raise RunError(f"provider {provider.name!r} lists no models")
    models = [_full(name, provider) for name in names]
    return tuple(provider.generator(model) for model in models if wanted(model, provider))


def wanted(model: str, provider: ProviderConfig) -> bool:
    """Whether an LLM matches the provider's patterns."""

    def match(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(name_of(model), pattern) for pattern in patterns)

    return match(provider.include) and not match(provider.exclude)


def name_of(model: str) -> str:
    """An LLM's name without its provider."""
    return model.partition("/")[2]


def lists_others_only(
    model: str, api_base: str | None, list_: List = list_generators, api_key_env: str | None = None
) -> bool:
    """Whether the provider of an LLM lists other LLMs and not this one.

    A wrong address, or one that does not answer, lists nothing; no conclusion is drawn from that.
    """
    try:
        listed = list_(ProviderConfig(name=model.partition("/")[0], api_base=api_base, api_key_env=api_key_env))
    except (RunError, UserError):
        return False
    return name_of(model) not in {name_of(item.model) for item in listed}


def _names(provider: ProviderConfig) -> list[str]:
    if provider.name == embedded.PROVIDER:
        return list(embedded.MODELS)
    from tasks.llm import providers

    listed = providers.list_models(provider.name, provider.api_base, provider.api_key_env)
    return [name.removeprefix(f"{provider.name}/") for name in listed]


def _full(name: str, provider: ProviderConfig) -> str:
    """The LLM's litellm name. An endpoint of one's own uses OpenAI's protocol, whatever its name is."""
    return f"{speaks(provider.name, provider.api_base) if provider.api_base else provider.name}/{name}"
