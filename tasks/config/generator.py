"""An LLM and its sampling settings."""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tasks.config.fields import Address, Frozen, Identified, named, variable_name
from tasks.params import complaint_about

EMBEDDED_GENERATOR = "embedded/smollm2-135m-instruct"


def misleading(model: str) -> str | None:
    """Why a model cannot be called by this name; null if it can.

    Some of litellm's providers send a call to an address in the model's name, others put the name into a URL's path.
    """
    if "://" in model or re.search(r"^[^/]*/https?:", model):
        return "holds an address; name the server in api_base and the model in model"
    if re.search(r"(?:^|/)\.\.(?:/|$)|[\\?#%\x00-\x1f\x7f]", model):
        return "must not hold '..', '?', '#', '%', a backslash or a control character"
    return None


class PriceConfig(Frozen):
    """What an LLM costs, in dollars per million tokens."""

    input: float = Field(ge=0)
    """Dollars for a million tokens of prompts."""
    output: float = Field(ge=0)
    """Dollars for a million tokens of answers."""


class GeneratorConfig(Identified):
    """One LLM and its sampling settings. In a study, a plain string stands for ``{model: string}``."""

    NO_SETTINGS: ClassVar[frozenset[str]] = frozenset(
        {"api_key_env", "price", "concurrency", "requests_per_minute", "tokens_per_minute", "timeout"}
    )

    model: str = Field(min_length=1)
    """litellm model name, such as ``openai/gpt-4o-mini`` or ``embedded/smollm2-135m-instruct``."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; null takes the provider's default, or the tuned default of the embedded model."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Longest answer in tokens; null derives it from the task's ``max_words``."""
    api_base: Address = None
    """Address of an OpenAI-compatible endpoint of your own. Its answers are stored under this address, because another
    server may serve other weights under the same name. A provider's API key is sent to the provider's own hosts
    only."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key. Null takes the provider's own (such as ``OPENAI_API_KEY``),
    and sends no key to an ``api_base`` that is not the provider's. For such an address the operator must release the
    variable: its name begins with ``SYNTHGAP_KEY_``, or ``SYNTHGAP_KEYS`` lists it."""
    endpoint: str | None = None
    """Name of the server that replaces its address where answers are stored, so that they are found again when the
    address changes. Choose a name at the start, or give the old address after a change."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further sampling parameters, passed to litellm as they are (``top_p``, ``min_p``, ...)."""
    completions: int | None = Field(default=None, gt=0)
    """Texts drawn from one prompt (``n``); the prompt is paid for once. Null draws 1, or 4 from the embedded model. If
    a provider returns fewer, it is called more often."""
    texts_per_call: int = Field(default=1, gt=0, le=100)
    """Texts asked for in one answer, which saves prompt tokens; each text is filtered separately."""
    json_schema: bool | None = None
    """Whether several texts in one answer are asked for as JSON with a schema (true) or as a numbered list (false).
    Null uses JSON if litellm's table says that the model supports schemas."""
    price: PriceConfig | None = None
    """Price of the model, if litellm's table lacks it or you pay another price."""
    concurrency: int = Field(default=64, gt=0)
    """Most calls in flight at a time. Within this limit, the number adapts to the provider's responses."""
    requests_per_minute: int | None = Field(default=None, gt=0)
    """The provider's limit on calls a minute, if you know it."""
    tokens_per_minute: int | None = Field(default=None, gt=0)
    """The provider's limit on tokens a minute, if you know it. A call counts with the most tokens that it can use."""
    timeout: float = Field(default=60, gt=0)
    """Seconds, from a call's start to its last byte, after which it counts as failed and is retried."""

    @property
    def identity(self) -> dict[str, Any]:
        """Its name and settings; ``endpoint`` replaces the server's address, if there is one."""
        settings = super().identity
        settings = {**settings.pop("params", {}), **settings}
        if self.endpoint:
            settings.pop("api_base", None)
        return settings

    @model_validator(mode="after")
    def _params_only_sample(self) -> Self:
        """``params`` cannot change what is reserved and paid for, nor where calls go."""
        variable_name(self.api_key_env)
        for name, value in self.params.items():
            if why := complaint_about(name, value, self.max_tokens):
                raise ValueError(f"params.{name} of generator {self.model!r}: {why}")
        return self


def _callable(generator: "GeneratorConfig") -> "GeneratorConfig":
    if why := misleading(generator.model):
        raise ValueError(f"model {generator.model!r} {why}")
    return generator


Generator = Annotated[GeneratorConfig, BeforeValidator(named), AfterValidator(_callable)]
