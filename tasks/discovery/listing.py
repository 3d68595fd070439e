"""Which LLMs a provider serves, asked of the provider itself.

An error or an empty answer raises: it says nothing about models, least of all that they were retired.
"""

from fnmatch import fnmatchcase

from tasks.config import GeneratorConfig, ProviderConfig
from tasks.errors import RunError
from tasks.synthesis import embedded


def list_generators(provider: ProviderConfig) -> tuple[GeneratorConfig, ...]:
    """The provider's LLMs that its patterns let through, by name. Raises ``RunError`` when it does not tell."""
    names = sorted(set(_names(provider)))
    if not names:
        raise RunError(f"provider {provider.name!r} lists no models")
    chosen = [name for name in names if _wanted(name, provider)]
    return tuple(provider.generator(_full(name, provider)) for name in chosen)


def _names(provider: ProviderConfig) -> list[str]:
    if provider.name == embedded.PROVIDER:
        return list(embedded.MODELS)
    from tasks.synthesis import gateway

    listed = gateway.list_models(provider.name, provider.api_base)
    return [name.removeprefix(f"{provider.name}/") for name in listed]


def _wanted(name: str, provider: ProviderConfig) -> bool:
    def match(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    return match(provider.include) and not match(provider.exclude)


def _full(name: str, provider: ProviderConfig) -> str:
    """As litellm names it; an endpoint of one's own speaks OpenAI's protocol whoever runs it."""
    return f"{'openai' if provider.api_base else provider.name}/{name}"
