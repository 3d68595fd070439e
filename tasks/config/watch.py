"""A watch: which providers are asked for new LLMs, and what is done about them."""

import zoneinfo
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tasks.config.fields import Address, File, Frozen, variable_name
from tasks.config.generator import GeneratorConfig
from tasks.config.reading import parse, read_yaml


class ProviderConfig(Frozen):
    """Somebody who serves LLMs and can be asked which. A plain string stands for ``{name: string}``."""

    name: str = Field(min_length=1)
    """litellm's name of the provider (``openai``, ``anthropic``, ``gemini``, ...), or ``embedded`` for the packaged
    LLMs."""
    api_base: Address = None
    """Address of an OpenAI-compatible endpoint of your own; ``/models`` below it is asked."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key, as for a generator."""
    include: tuple[str, ...] = ("*",)
    """Shell patterns of model names (without provider); a model must match one."""
    exclude: tuple[str, ...] = ()
    """Shell patterns of model names that are passed over: embeddings, speech, images, ..."""

    @property
    def address(self) -> str:
        """Tells providers apart, and one's own endpoints."""
        return self.api_base or self.name

    @model_validator(mode="after")
    def _named_variable(self) -> Self:
        variable_name(self.api_key_env)
        return self

    def generator(self, model: str) -> GeneratorConfig:
        """One of its LLMs, by litellm's name, as a study would name it."""
        return GeneratorConfig(model=model, api_base=self.api_base, api_key_env=self.api_key_env)


Provider = Annotated[
    ProviderConfig, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
]


class WatchConfig(Frozen):
    """What to do when a provider serves an LLM that no study has seen."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    """Names the deployment and the monthly account."""
    study: File
    """The study that a new LLM is run in: a shipped study's name, or a path relative to the watch file."""
    providers: tuple[Provider, ...] = Field(min_length=1)
    """Who is asked."""
    most_usd_per_million: float | None = Field(default=10.0, ge=0)
    """Dearest price, in dollars per million tokens written, of an LLM that is tried; null sets none."""
    unknown_prices: bool = False
    """Try LLMs whose price is unknown, too: the monthly budget cannot hold those."""
    monthly_budget_usd: float = Field(default=10.0, ge=0)
    """Most dollars that smoke tests and the studies of new LLMs may spend in a calendar month, all together."""
    most_new: int = Field(default=3, gt=0)
    """New LLMs taken up at one look; others wait for the next."""
    smoke_rows_per_label: int = Field(default=2, gt=0)
    """Rows that a new LLM must write of the study's first task before the study is triggered; they are used there."""
    schedule: str | None = "0 6 * * *"
    """When providers are asked, as a cron expression; null: only when somebody starts the watch."""
    timezone: str = "UTC"
    """Time zone of the schedule, as the IANA database names it (``Europe/Berlin``)."""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        if name not in zoneinfo.available_timezones():
            raise ValueError("no such time zone; write one as Europe/Berlin")
        return name

    def account(self, month: str) -> str:
        """Name of the ledger of a calendar month (``2026-11``)."""
        return f"watch-{self.name}-{month}"


def load_watch(path: Path) -> WatchConfig:
    """The watch in a YAML file. Raises ``UserError`` for anything in it that cannot be used."""
    return parse(WatchConfig, read_yaml(path), f"watch {path.name}")
