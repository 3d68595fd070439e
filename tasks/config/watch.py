"""A watch: which providers are asked for new LLMs, and which study tests them."""

import zoneinfo
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tasks.config.fields import NAME, Address, File, Frozen, variable_name
from tasks.config.generator import GeneratorConfig
from tasks.config.reading import parse, read_yaml


class ProviderConfig(Frozen):
    """A provider that can list the LLMs it serves. A plain string stands for ``{name: string}``."""

    name: str = Field(min_length=1)
    """Name of the provider in litellm (``openai``, ``anthropic``, ``gemini``, ...), or ``embedded`` for the packaged
    LLMs. With ``api_base``, any name."""
    api_base: Address = None
    """Address of an OpenAI-compatible endpoint of your own; ``GET <api_base>/models`` lists its LLMs."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the same rules as for a generator apply."""
    include: tuple[str, ...] = ("*",)
    """Shell patterns of model names (without provider). Only models that match one of them are considered."""
    exclude: tuple[str, ...] = ()
    """Shell patterns of model names that are ignored, such as models for embeddings, speech or images."""

    @property
    def address(self) -> str:
        """What identifies the provider: the address of an endpoint of one's own, else the provider's name."""
        return self.api_base or self.name

    @model_validator(mode="after")
    def _named_variable(self) -> Self:
        variable_name(self.api_key_env)
        return self

    def generator(self, model: str) -> GeneratorConfig:
        """One of its LLMs, by its litellm name, as a generator of a study."""
        return GeneratorConfig(model=model, api_base=self.api_base, api_key_env=self.api_key_env)


Provider = Annotated[
    ProviderConfig, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
]


class WatchConfig(Frozen):
    """What to do when a provider serves an LLM that no study has used."""

    name: str = Field(pattern=NAME, max_length=80)
    """Name of the watch, its deployment in Prefect and its monthly ledger."""
    study: File
    """Study that tests new LLMs: the name of a study, or a path relative to the watch file."""
    providers: tuple[Provider, ...] = Field(min_length=1)
    """Providers that are asked which LLMs they serve."""
    most_usd_per_million: float | None = Field(default=10.0, ge=0)
    """An LLM that costs more dollars per million output tokens is skipped; null sets no limit."""
    unknown_prices: bool = False
    """Whether LLMs of unknown price are tested, too. The monthly budget cannot limit them."""
    monthly_budget_usd: float = Field(default=10.0, ge=0)
    """Most dollars that smoke tests and studies of new LLMs may spend together in a calendar month."""
    most_new: int = Field(default=3, gt=0)
    """Most new LLMs that one run of the watch tests; the others wait for the next run."""
    smoke_rows_per_label: int = Field(default=2, gt=0)
    """Rows for each label of the study's first task that a new LLM must write in the smoke test. If it passes, its
    study is triggered and uses these rows."""
    schedule: str | None = "0 6 * * *"
    """When the watch runs, as a cron expression; null: only when somebody starts it."""
    timezone: str = "UTC"
    """Time zone of the schedule, by its IANA name (``Europe/Berlin``)."""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        if name not in zoneinfo.available_timezones():
            raise ValueError("no such time zone; write one as Europe/Berlin")
        return name

    def account(self, month: str) -> str:
        """Name of the ledger for a calendar month (``2026-11``)."""
        return f"watch-{self.name}-{month}"


def load_watch(path: Path) -> WatchConfig:
    """The watch in a YAML file. Raises ``UserError`` for anything in it that cannot be used."""
    return parse(WatchConfig, read_yaml(path), f"watch {path.name}")
