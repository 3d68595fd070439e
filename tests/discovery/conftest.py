"""A watch over made-up providers: what they list, what their LLMs write and what a call to them says is scripted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.config import GeneratorConfig, ProviderConfig, WatchConfig
from tasks.data.catalog import find_task
from tasks.discovery.watch import ProviderCheck, check_providers
from tasks.errors import RunError
from tasks.planning.unmade import expected_synthesis
from tasks.records import Synthesis, SynthesisJob
from tasks.store import Store

SAMPLE = SynthesisJob(
    find_task("sms_spam", Path.cwd()), "few_shot", GeneratorConfig(model="openai/gpt-4o-mini"), 0, 50, 2.0, ("debris",)
)


@dataclass
class World:
    """What is out there, and what was asked of it."""

    store: Store
    listed: dict[str, list[str] | RunError] = field(default_factory=dict)
    """Provider to its models by litellm's name, or to what asking it raises."""
    writes: Callable[[SynthesisJob], Synthesis] = expected_synthesis
    asks: Callable[[GeneratorConfig], None] = lambda generator: None
    tried: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    sample: SynthesisJob = SAMPLE
    now: str = "2026-11-01T00:00:00+00:00"

    def look(self, **change: object) -> ProviderCheck:
        fields = {"name": "w", "study": "quickstart", "providers": list(self.listed), "unknown_prices": True}
        config = WatchConfig.model_validate(fields | change)
        return check_providers(config, self.sample, self.store, self.now, self._write, self._ask, self._list)

    def _list(self, provider: ProviderConfig) -> tuple[GeneratorConfig, ...]:
        models = self.listed[provider.address]
        if isinstance(models, RunError):
            raise models
        return tuple(provider.generator(model) for model in models)

    def _write(self, job: SynthesisJob) -> Synthesis:
        self.tried.append(job.generator.model)
        return self.writes(job)

    def _ask(self, generator: GeneratorConfig) -> None:
        self.asked.append(generator.model)
        self.asks(generator)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Store(str(tmp_path)))
