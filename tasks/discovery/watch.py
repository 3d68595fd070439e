"""One look at all providers: which LLMs are new, which of them write, which are gone.

What is new is decided by the store's memory alone. A new LLM must write a few rows of the study's first task before
anything larger is started for it; the study finds those calls in its journal and does not make them again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tasks.config import GeneratorConfig, ProviderConfig, StudyConfig, WatchConfig
from tasks.discovery.listing import list_generators
from tasks.discovery.memory import Known, everyone, recall, remember, take_over
from tasks.errors import GoneError, RunError, UserError
from tasks.planning import synthesis_jobs
from tasks.records import Synthesis, SynthesisJob, TaskData
from tasks.store import Store
from tasks.synthesis.prices import price

LOGGER = logging.getLogger("synthgap")

MOST_ATTEMPTS = 5
"""Smoke tests of an LLM that fails them, one a look; it may only have been having a bad day."""

List = Callable[[ProviderConfig], tuple[GeneratorConfig, ...]]
Write = Callable[[SynthesisJob], Synthesis]
"""Generates the few rows of a smoke test. Raises ``RunError``; ``GoneError`` where the model is not served."""
Ask = Callable[[GeneratorConfig], None]
"""Sends one short call. Raises like ``Write``."""


@dataclass
class Look:
    """What one look at all providers came to."""

    ready: list[Known] = field(default_factory=list)
    """LLMs whose study is to be triggered: new ones that write, and those whose trigger got lost."""
    failed: list[Known] = field(default_factory=list)
    """New ones that do not."""
    passed_over: dict[str, str] = field(default_factory=dict)
    """New ones that were not tried, with the reason; looked at again next time."""
    retired: list[Known] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    """Providers that did not tell, with the reason: nothing is concluded from that."""
    listed: int = 0
    """LLMs that providers listed and patterns let through."""

    def table(self) -> list[dict[str, str]]:
        """A line for everything that is worth telling."""
        rows = [
            {"LLM": known.model, "provider": known.provider, "outcome": outcome, "why": known.note}
            for outcome, group in (("ready", self.ready), ("failed", self.failed), ("retired", self.retired))
            for known in group
        ]
        passed = self.passed_over.items()
        rows += [{"LLM": model, "provider": "", "outcome": "passed over", "why": why} for model, why in passed]
        silent = self.silent.items()
        return rows + [{"LLM": "", "provider": name, "outcome": "no answer", "why": why} for name, why in silent]

    @property
    def headline(self) -> str:
        """The look in one line."""
        counts = {"ready": self.ready, "failed": self.failed, "passed over": self.passed_over, "retired": self.retired}
        said = [f"{self.listed} LLMs listed", *(f"{len(items)} {name}" for name, items in counts.items() if items)]
        if self.silent:
            said.append("no answer from " + ", ".join(self.silent))
        return "; ".join(said if len(said) > 1 else [*said, "nothing new"])


def sample_job(config: StudyConfig, data: TaskData) -> SynthesisJob:
    """What new LLMs are tried with: the first rows that a study has generated for a task. Raises ``UserError``."""
    job = next((job for job in synthesis_jobs(config, data) if job.imported is None), None)
    if job is None:
        raise UserError(f"study {config.name!r} generates no rows, so nothing is new to it; modes: {config.modes}")
    return job


def look(
    config: WatchConfig,
    sample: SynthesisJob,
    store: Store,
    now: str,
    write: Write,
    ask: Ask,
    list_: List = list_generators,
) -> Look:
    """Ask all providers once.

    ``sample`` is a synthesis of the study with its generator to be replaced; ``now`` is an ISO time.
    """
    take_over(store, now)
    found = Look()
    for provider in config.providers:
        try:
            listed = list_(provider)
        except RunError as error:
            found.silent[provider.address] = str(error)
            continue
        found.listed += len(listed)
        for generator in listed:
            _meet(config, sample, store, now, write, provider, generator, found)
        found.retired += _gone(provider, {item.model for item in listed}, store, now, ask)
    return found


def _meet(
    config: WatchConfig,
    sample: SynthesisJob,
    store: Store,
    now: str,
    write: Write,
    provider: ProviderConfig,
    generator: GeneratorConfig,
    found: Look,
) -> None:
    """Take up a listed LLM, where it is new."""
    known = recall(store, generator.model)
    if known and known.provider != provider.address:
        known = remember(store, replace(known, provider=provider.address))
    if known and known.status == "ready":  # tried, but its study was never triggered
        found.ready.append(known)
        return
    if known and (known.status != "failed" or known.attempts >= MOST_ATTEMPTS):
        return
    reason = _reason_against(generator, config)
    if not reason and len(found.ready) + len(found.failed) >= config.most_new:
        reason = f"{config.most_new} new LLMs are taken up at one look (most_new)"
    if reason:
        found.passed_over[generator.model] = reason
        return
    record = Known(generator.model, provider.address, "failed", now, known.attempts + 1 if known else 1)
    tried = _try(record, _smoke_test(sample, generator, config.smoke_rows_per_label), write)
    if isinstance(tried, str):
        found.passed_over[generator.model] = tried
        return
    (found.ready if tried.status == "ready" else found.failed).append(remember(store, tried))


def _smoke_test(sample: SynthesisJob, generator: GeneratorConfig, rows: int) -> SynthesisJob:
    fewer = {label: n for label, n in sample.fewer.items() if n < rows}
    return replace(sample, generator=generator, rows_per_label=rows, fewer=fewer)


def _reason_against(generator: GeneratorConfig, config: WatchConfig) -> str:
    """Why an LLM is not tried; empty when it is."""
    cost = price(generator)
    if cost is None:
        return "" if config.unknown_prices else "its price is unknown (unknown_prices: false)"
    dollars = cost.tokens_out * 1e6
    if config.most_usd_per_million is not None and dollars > config.most_usd_per_million:
        return f"${dollars:g} per million tokens is over most_usd_per_million {config.most_usd_per_million:g}"
    return ""


def _try(record: Known, job: SynthesisJob, write: Write) -> Known | str:
    """The record after a smoke test; why there was none where the budget ended it, which says nothing of the LLM."""
    try:
        made = write(job)
    except (RunError, UserError) as error:
        return replace(record, note=str(error))
    missing = [label for label, kept in made.label_counts.items() if not kept]
    if missing and made.stopped:
        return made.stopped
    if missing:
        why = f"{made.yields.requested} asked, {made.yields.kept} kept"
        return replace(record, note=f"no usable row of label {', '.join(map(repr, missing))} ({why})")
    return replace(record, status="ready")


def _gone(provider: ProviderConfig, listed: set[str], store: Store, now: str, ask: Ask) -> list[Known]:
    """LLMs that this provider listed once and does not list any more, and that a call finds gone."""
    retired = []
    for known in everyone(store):
        if known.status not in ("studied", "triggered") or known.provider != provider.address or known.model in listed:
            continue
        try:
            ask(provider.generator(known.model))
        except GoneError as error:
            retired.append(remember(store, replace(known, status="retired", since=now, note=str(error))))
        except (RunError, UserError) as error:
            LOGGER.warning("%s is not listed any more, but that it is retired is not certain: %s", known.model, error)
    return retired
