"""The address and the key of a call: a provider's key is sent only to the provider's own hosts.

litellm sends a key of the environment (``OPENAI_API_KEY``) to any address that a call names. Therefore this module
chooses the key of every call to an address: none, unless the address is the provider's own, or the study names a
variable that the operator released. A host that a provider rents to its customers is not the provider's own. The
operator's environment is trusted: an address that it names for a provider (``OPENAI_BASE_URL``) is the provider's own.
"""

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from tasks.config import GeneratorConfig
from tasks.errors import RELEASED, RELEASED_NAMES, RunError, UserError, is_released, secret_variable
from tasks.llm import embedded

NO_KEY = "none"
"""Sent if there is no key, because clients require one, and litellm would otherwise search the environment."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's hosts, in which ``*`` means a name without dots, and the variables with its keys.

    ``rented`` are hosts that the provider runs for its customers: a key goes there only if a study or the operator's
    environment says so.
    """

    hosts: tuple[str, ...]
    keys: tuple[str, ...]
    rented: tuple[str, ...] = ()


_AZURE = Provider(
    (),
    ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AI_API_KEY", "AZURE_AD_TOKEN"),
    rented=(
        "*.openai.azure.com", "*.openai.azure.us", "*.openai.azure.cn", "*.cognitiveservices.azure.com",
        "*.services.ai.azure.com", "*.models.ai.azure.com", "*.*.models.ai.azure.com",
    ),
)  # fmt: skip
_AWS = Provider(
    tuple(f"{name}.*.{end}" for name in ("bedrock-runtime", "bedrock-runtime-fips", "runtime.sagemaker")
          for end in ("amazonaws.com", "amazonaws.com.cn", "api.aws")),
    ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
)  # fmt: skip
_GOOGLE = Provider(
    ("generativelanguage.googleapis.com", "aiplatform.googleapis.com", "*-aiplatform.googleapis.com"),
    ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_CREDENTIALS"),
)
_OPENAI = Provider(("api.openai.com", "*.api.openai.com"), ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"))
_ANTHROPIC = Provider(("api.anthropic.com",), ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
_COHERE = Provider(("api.cohere.com", "api.cohere.ai"), ("COHERE_API_KEY", "CO_API_KEY"))
_HUGGING_FACE = Provider(
    ("router.huggingface.co", "api-inference.huggingface.co"),
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
    "dashscope": Provider(
        ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"), ("DASHSCOPE_API_KEY",)
    ),
    "databricks": Provider((), ("DATABRICKS_API_KEY", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET")),
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
    "volcengine": Provider(("ark.*.volces.com",), ("VOLCENGINE_API_KEY", "ARK_API_KEY")),
    "watsonx": Provider(("*.ml.cloud.ibm.com",), ("WATSONX_API_KEY", "WATSONX_APIKEY", "WATSONX_TOKEN", "WX_API_KEY")),
    "xai": Provider(("api.x.ai", "*.api.x.ai"), ("XAI_API_KEY",)),
    "zai": Provider(("api.z.ai",), ("ZAI_API_KEY",)),
}
"""Providers by their litellm names. The key of a provider that is not listed goes to no address of a study."""
LOCAL = {"ollama", "ollama_chat", "lm_studio", "llamafile", "docker_model_runner", "lemonade"}
"""Providers that litellm calls on this machine, unless an address is given."""
ONE_KEY = (
    frozenset(PROVIDERS) - {"bedrock", "databricks", "replicate", "sagemaker", "vertex_ai", "watsonx"}
    | LOCAL | {"custom_openai", "hosted_vllm", "litellm_proxy", "oobabooga"}
)  # fmt: skip
"""Providers whose calls to an address carry the given key and nothing else from the environment. Other providers sign
calls, fetch a token or log in; they are called at their own addresses only."""
OWN_SERVERS = {"hosted_vllm": "HOSTED_VLLM_API_KEY"}
"""litellm's variable for the key of a user's own server, which belongs to no provider."""
OPENAI_NAMES = re.compile(r"(?:ft:)?(?:gpt-|o[134](?:-|$)|chatgpt|davinci|babbage)")
"""Beginnings of OpenAI's model names without a provider. litellm also knows such names of other providers."""


def provider_of(model: str) -> str:
    """The provider at the beginning of a model's name; a name without one is OpenAI's in almost all cases."""
    name, slash, _ = model.partition("/")
    return name if slash else "openai"


def destination(generator: GeneratorConfig) -> str | None:
    """The destination of a generator's calls, for display: a host, or a provider's name if the host is unknown.

    Null for this machine: the packaged LLM, and servers on loopback.
    """
    provider = provider_of(generator.model)
    if generator.api_base is None and "/" not in generator.model and not OPENAI_NAMES.match(generator.model):
        return f"the provider that litellm finds for {generator.model!r} (write provider/model to choose it)"
    address = generator.api_base or next(iter(_environment_bases(provider)), None)
    if embedded.is_embedded(generator.model) or (address is None and provider in LOCAL):
        return None
    if address is not None:
        host = urlsplit(address).hostname or address
        return None if is_loopback(host) else host
    known = PROVIDERS.get(provider)
    return f"{provider} ({known.hosts[0]})" if known and known.hosts and "*" not in known.hosts[0] else provider


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def owner_of(provider: str, address: str) -> str | None:
    """The provider of the host in an address, rented ones included; ``provider`` if several providers share it."""
    if _named_by_the_environment(provider, address):
        return provider
    names = (name for name in (provider, *PROVIDERS) if name in PROVIDERS)
    return next((name for name in names if _is_at(address, PROVIDERS[name].hosts + PROVIDERS[name].rented)), None)


def is_own(provider: str, address: str) -> bool:
    """Whether a provider's key is sent to an address without being named in the study."""
    return _named_by_the_environment(provider, address) or (
        provider in PROVIDERS and _is_at(address, PROVIDERS[provider].hosts)
    )


def key_for(what: str, provider: str, address: str | None, variable: str | None) -> str | None:
    """The key of a call to a provider, or to an address with the provider's protocol; null if litellm may choose.

    ``what`` begins the message of an error. ``variable`` is the study's ``api_key_env``. Raises ``RunError`` if it is
    not set, ``UserError`` if a study must not send it there, or if the provider's protocol would send more than a key
    to an address that is not its own.
    """
    owner = owner_of(provider, address) if address else provider
    if address and owner != provider and provider not in ONE_KEY:
        known = provider in PROVIDERS and PROVIDERS[provider].hosts
        why = "which is not one of its own hosts" if known else "and its hosts are not known here"
        by_name = f"{_prefix(provider)}_API_BASE"
        raise UserError(
            f"{what}: litellm may send credentials of {provider!r} to {address}, {why}; "
            f"write openai/NAME for an endpoint that speaks OpenAI's protocol, or set {by_name} to its address in the "
            "environment"
        )
    if variable is None:
        if address and owner == provider and not is_own(provider, address):
            raise UserError(
                f"{what}: {address} is a host that {provider!r} rents to any customer, so no key is sent there "
                f"automatically; set {_prefix(provider)}_API_BASE to your address in the environment, or name the "
                f"variable that holds its key in api_key_env ({PROVIDERS[provider].keys[0]})"
            )
        return None if owner == provider else NO_KEY
    _check_variable(what, variable, provider, owner, address)
    value = secret_variable(variable)
    if value is None:
        raise RunError(f"{what} needs {variable} in the environment (api_key_env)")
    return value


def _check_variable(what: str, variable: str, provider: str, owner: str | None, address: str | None) -> None:
    """Checks a variable: a study may come from anyone, so it can name only released ones and a provider's own keys."""
    if is_released(variable, os.environ) or variable == OWN_SERVERS.get(provider):
        return
    if owner is None or not variable.startswith(_own_prefixes(owner)):
        raise UserError(
            f"{what}: {variable} (api_key_env) is not released, so it is not sent to {address or owner}; if studies "
            f"may send its value to addresses that they name, put it into a variable that begins with {RELEASED}, or "
            f"set {RELEASED_NAMES}={variable} in the environment (names, with commas)"
        )


def _own_prefixes(owner: str) -> tuple[str, ...]:
    """Prefixes of the variables with a provider's keys: ``AZURE_API_KEY_EASTUS`` is also Azure's."""
    if owner not in PROVIDERS:
        return (f"{_prefix(owner)}_",)
    return tuple(f"{key.partition('_')[0]}_" for key in PROVIDERS[owner].keys)


def speaks(provider: str, address: str) -> str:
    """The provider whose protocol is used for an address: its own at its own hosts, otherwise OpenAI's."""
    return provider if provider in PROVIDERS and provider in ONE_KEY and is_own(provider, address) else "openai"


def own_key(provider: str) -> str | None:
    """The key of a provider in the environment; null if there is none."""
    keys = PROVIDERS[provider].keys if provider in PROVIDERS else ()
    found = (os.environ.get(name, "").strip() for name in keys if name.endswith(("KEY", "TOKEN")))
    return next(filter(None, found), None)


def _prefix(provider: str) -> str:
    return provider.upper().replace("-", "_")


def _environment_bases(provider: str) -> list[str]:
    """Addresses that the operator's environment names for a provider, as litellm reads them."""
    names = [f"{_prefix(provider)}_{end}" for end in ("BASE_URL", "API_BASE", "ENDPOINT")]
    return [value for name in names if "://" in (value := os.environ.get(name, "").strip())]


def _named_by_the_environment(provider: str, address: str) -> bool:
    origin = _origin(urlsplit(address))
    return any(origin == _origin(urlsplit(base)) for base in _environment_bases(provider))


def _is_at(address: str, hosts: tuple[str, ...]) -> bool:
    parts = urlsplit(address)
    patterns = (re.escape(host).replace(r"\*", "[a-z0-9-]+") for host in hosts)
    host = (parts.hostname or "").lower()
    secure = parts.scheme == "https" and parts.port in (None, 443)
    return secure and any(re.fullmatch(pattern, host) for pattern in patterns)


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port
