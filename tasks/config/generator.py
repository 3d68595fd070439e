"""An LLM and how it samples."""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tasks.config.fields import Address, Frozen, Identified, named, variable_name
from tasks.params import complaint_about

EMBEDDED_GENERATOR = "embedded/smollm2-135m-instruct"


def misleading(model: str) -> str | None:
    """Why a model's name cannot be called by; null where it can.

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
    """Of prompts."""
    output: float = Field(ge=0)
    """Of answers."""


class GeneratorConfig(Identified):
    """One LLM and how it samples. In a study, a plain string stands for ``{model: string}``."""

    NO_SETTINGS: ClassVar[frozenset[str]] = frozenset(
        {"api_key_env", "price", "concurrency", "requests_per_minute", "tokens_per_minute", "timeout"}
    )

    model: str = Field(min_length=1)
    """litellm model name, such as ``openai/gpt-4o-mini`` or ``embedded/smollm2-135m-instruct``."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; null leaves it to the provider, or to the embedded model's tuned default."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Longest answer in tokens; null derives it from the task's ``max_words``."""
    api_base: Address = None
    """Address of an OpenAI-compatible endpoint of your own. What it wrote is kept under this address, because another
    server may serve other weights by the same name. A provider's API key goes to the provider's own hosts only."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; null takes the provider's own (``OPENAI_API_KEY``), and no
    key for an ``api_base`` that is not the provider's. For such an address the operator must have released the
    variable: its name begins with ``SYNTHGAP_KEY_``, or ``SYNTHGAP_KEYS`` lists it."""
    endpoint: str | None = None
    """Name of the server that what it wrote is kept under instead, so that its calls are found again when it moves:
    give it one, or after a move the old address."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further sampling parameters, passed to litellm as they are (``top_p``, ``min_p``, ...)."""
    completions: int | None = Field(default=None, gt=0)
    """Texts drawn from one prompt (``n``), which is paid for once; null draws 1, from the embedded model 4. A provider
    that gives fewer is asked more often."""
    texts_per_call: int = Field(default=1, gt=0, le=100)
    """Texts asked for in one answer, which spares prompts; each is judged by itself."""
    json_schema: bool | None = None
    """Several texts are asked for as JSON by a schema, rather than as a numbered list; null does so where litellm's
    table says that the model takes one."""
    price: PriceConfig | None = None
    """What the model costs, where litellm's table does not know or you pay another price."""
    concurrency: int = Field(default=64, gt=0)
    """Most calls in flight at once; how many the provider bears is found by asking."""
    requests_per_minute: int | None = Field(default=None, gt=0)
    """Provider limit on calls, where it is known."""
    tokens_per_minute: int | None = Field(default=None, gt=0)
    """Provider limit on tokens, where it is known; a call counts with the most that it can take."""
    timeout: float = Field(default=60, gt=0)
    """Seconds after which a call counts as failed and is retried."""

    @property
    def identity(self) -> dict[str, Any]:
        """Its name and settings; ``endpoint`` stands for the server's address where it is given."""
        settings = super().identity
        settings = {**settings.pop("params", {}), **settings}
        if self.endpoint:
            settings.pop("api_base", None)
        return settings

    @model_validator(mode="after")
    def _params_only_sample(self) -> Self:
        """What is reserved and paid for, and where calls go, is not a matter of ``params``."""
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
