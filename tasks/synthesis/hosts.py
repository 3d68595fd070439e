"""Whom a call goes to, and which key it may carry: a provider's key goes to the provider's own hosts only.

litellm sends a key that it finds in the environment (``OPENAI_API_KEY``) to whatever address a call names. So every
call to an address carries a key that was chosen here: none, unless the address is the provider's own or the study names
a variable. What the operator's environment says is trusted: an address that it names for a provider
(``OPENAI_BASE_URL``) is one of the provider's own.
"""

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from tasks.config import GeneratorConfig
from tasks.errors import RunError, UserError, secret_variable
from tasks.synthesis import embedded

NO_KEY = "none"
"""Sent where there is no key: clients insist on one, and litellm would look for one."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's hosts, each with all below it, and the environment variables that hold its keys."""

    hosts: tuple[str, ...]
    keys: tuple[str, ...]


_AZURE = Provider(
    ("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com", "models.ai.azure.com"),
    ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AI_API_KEY", "AZURE_AD_TOKEN"),
)
_AWS = Provider(
    ("amazonaws.com", "api.aws"),
    ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
)
_GOOGLE = Provider(
    ("googleapis.com",), ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_CREDENTIALS")
)
_OPENAI = Provider(("api.openai.com",), ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"))
_ANTHROPIC = Provider(("api.anthropic.com",), ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
_COHERE = Provider(("api.cohere.com", "api.cohere.ai"), ("COHERE_API_KEY", "CO_API_KEY"))
_HUGGING_FACE = Provider(
    ("huggingface.co", "hf.co", "endpoints.huggingface.cloud"),
    ("HF_TOKEN", "HUGGINGFACE_API_KEY", "HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_API_KEY"),
)
_MISTRAL = Provider(("api.mistral.ai", "codestral.mistral.ai"), ("MISTRAL_API_KEY", "CODESTRAL_API_KEY"))
PROVIDERS: dict[str, Provider] = {
    "anthropic": _ANTHROPIC,
    "azure": _AZURE,
    "azure_ai": _AZURE,
    "bedrock": _AWS,
    "cerebras": Provider(("api.cerebras.ai",), ("CEREBRAS_API_KEY",)),
    "codestral": _MISTRAL,
    "cohere": _COHERE,
    "cohere_chat": _COHERE,
    "databricks": Provider(
        ("cloud.databricks.com", "azuredatabricks.net", "gcp.databricks.com"),
        ("DATABRICKS_API_KEY", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET"),
    ),
    "deepinfra": Provider(("api.deepinfra.com",), ("DEEPINFRA_API_KEY",)),
    "deepseek": Provider(("api.deepseek.com",), ("DEEPSEEK_API_KEY",)),
    "fireworks_ai": Provider(
        ("api.fireworks.ai",),
        ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    ),
    "gemini": _GOOGLE,
    "github": Provider(("models.inference.ai.azure.com", "models.github.ai"), ("GITHUB_API_KEY", "GITHUB_TOKEN")),
    "groq": Provider(("api.groq.com",), ("GROQ_API_KEY",)),
    "huggingface": _HUGGING_FACE,
    "hyperbolic": Provider(("api.hyperbolic.xyz",), ("HYPERBOLIC_API_KEY",)),
    "mistral": _MISTRAL,
    "moonshot": Provider(("api.moonshot.ai", "api.moonshot.cn"), ("MOONSHOT_API_KEY",)),
    "nebius": Provider(("api.studio.nebius.ai", "api.studio.nebius.com"), ("NEBIUS_API_KEY",)),
    "novita": Provider(("api.novita.ai",), ("NOVITA_API_KEY",)),
    "nvidia_nim": Provider(("integrate.api.nvidia.com",), ("NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY")),
    "openai": _OPENAI,
    "openrouter": Provider(("openrouter.ai",), ("OPENROUTER_API_KEY", "OR_API_KEY")),
    "perplexity": Provider(("api.perplexity.ai",), ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY")),
    "replicate": Provider(("api.replicate.com",), ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN")),
    "sagemaker": _AWS,
    "sambanova": Provider(("api.sambanova.ai",), ("SAMBANOVA_API_KEY",)),
    "text-completion-openai": _OPENAI,
    "together_ai": Provider(
        ("api.together.ai", "api.together.xyz"),
        ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    ),
    "vertex_ai": _GOOGLE,
    "xai": Provider(("api.x.ai",), ("XAI_API_KEY",)),
}
"""Providers by litellm's name. One that is not listed has no hosts here: its key goes to no address of a study."""
ONE_KEY = frozenset(PROVIDERS) - {"bedrock", "databricks", "replicate", "sagemaker", "vertex_ai"} | {
    "custom_openai", "hosted_vllm", "litellm_proxy", "llamafile", "lm_studio", "ollama", "ollama_chat", "oobabooga",
}  # fmt: skip
"""Providers whose calls to an address carry the key that they are given and nothing else out of the environment. Others
sign calls, fetch a token or log in; they are not sent to an address that is not their own."""
OURS = ("AWS_", "AZURE_", "GOOGLE_", "HF_", "MLFLOW_", "PREFECT_", "SYNTHGAP_")
"""Beginnings of variables whose values belong to a cloud or a service of this installation."""
LOCAL = {"ollama", "ollama_chat", "lm_studio", "llamafile", "docker_model_runner", "lemonade"}
"""Providers that litellm looks for on this machine, unless an address says otherwise."""


def provider_of(model: str) -> str:
    """The provider that a model's name begins with; a bare name is OpenAI's in almost all cases."""
    name, slash, _ = model.partition("/")
    return name if slash else "openai"


def destination(generator: GeneratorConfig) -> str | None:
    """Whom a generator's calls go to, for people: a host, or a provider's name where that is all that is known.

    Null for this machine: the packaged LLM, and whatever listens on loopback.
    """
    provider = provider_of(generator.model)
    address = generator.api_base or next(iter(_environment_bases(provider)), None)
    if embedded.is_embedded(generator.model) or (address is None and provider in LOCAL):
        return None
    if address is not None:
        host = urlsplit(address).hostname or address
        return None if is_loopback(host) else host
    known = PROVIDERS.get(provider)
    return f"{provider} ({known.hosts[0]})" if known else provider


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def owner_of(provider: str, address: str) -> str | None:
    """The provider whose own host an address names; ``provider`` where several share it; null for anybody else's."""
    parts = urlsplit(address)
    if any(_origin(parts) == _origin(urlsplit(base)) for base in _environment_bases(provider)):
        return provider
    return next((name for name in (provider, *PROVIDERS) if name in PROVIDERS and _is_at(parts, PROVIDERS[name])), None)


def key_for(what: str, provider: str, address: str | None, variable: str | None) -> str | None:
    """The key of a call to a provider, or to an address by the provider's protocol; null where litellm may choose.

    ``what`` begins the message of an error. ``variable`` is the study's ``api_key_env``. Raises ``RunError`` where it
    is not set, ``UserError`` where it holds the key of another provider than the one that is asked, or where the
    provider's protocol would send more than a key to a foreign address.
    """
    owner = owner_of(provider, address) if address else provider
    if address and owner != provider and provider not in ONE_KEY:
        raise UserError(
            f"{what}: litellm may send credentials of {provider!r} to {address}, which is not one of its own hosts; "
            "write openai/NAME for an endpoint that speaks OpenAI's protocol"
        )
    if variable is None:
        return None if owner == provider else NO_KEY
    _check_variable(what, variable, owner, address)
    value = secret_variable(variable)
    if value is None:
        raise RunError(f"{what} needs {variable} in the environment (api_key_env)")
    return value


def _check_variable(what: str, variable: str, owner: str | None, address: str | None) -> None:
    own = PROVIDERS[owner].keys if owner in PROVIDERS else ()
    others = {key for provider in PROVIDERS.values() for key in provider.keys}
    if variable not in own and (variable in others or variable.startswith(OURS)):
        raise UserError(
            f"{what}: {variable} holds a key of somebody else than {address or owner}, and is sent to its own owner "
            "only; put the key that is meant into a variable of its own and name that in api_key_env"
        )


def _environment_bases(provider: str) -> list[str]:
    """Addresses that the operator's environment names for a provider, as litellm reads them."""
    prefix = provider.upper().replace("-", "_")
    names = [f"{prefix}_{end}" for end in ("BASE_URL", "API_BASE", "ENDPOINT")]
    return [value for name in names if "://" in (value := os.environ.get(name, "").strip())]


def _is_at(parts: SplitResult, provider: Provider) -> bool:
    host = (parts.hostname or "").lower()
    secure = parts.scheme == "https" and parts.port in (None, 443)
    return secure and any(host == own or host.endswith(f".{own}") for own in provider.hosts)


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port
