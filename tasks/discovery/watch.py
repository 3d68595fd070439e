"""One check of all providers: which LLMs are new, which of them produce usable texts, which are no longer served.

A model is new if the store has no record of it. A new LLM must write a few rows of the study's first task before
its study is started; the study finds those calls in its journal and does not repeat them. An LLM that was retired and
is listed again must answer one call, because the journal would answer its smoke test.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tasks.config import GeneratorConfig, ProviderConfig, StudyConfig, WatchConfig
from tasks.discovery.listing import List, list_generators, wanted
from tasks.discovery.memory import Known, everyone, recall, remember, take_over
from tasks.errors import GoneError, RunError, UserError
from tasks.llm.prices import price
from tasks.planning.grid import synthesis_jobs
from tasks.records import Synthesis, SynthesisJob, TaskData
from tasks.store import Store

LOGGER = logging.getLogger("synthgap")

MOST_ATTEMPTS = 5
"""Most failed smoke tests and studies of an LLM, one in each check: a failure may be temporary."""
SERVED = ("studied", "triggered", "stopped", "broken")
"""Statuses of LLMs that are checked for retirement when they are no longer listed."""

Write = Callable[[SynthesisJob], Synthesis]
"""Generates the few rows of a smoke test. Raises ``RunError``, or ``GoneError`` if the model is not served."""
Ask = Callable[[GeneratorConfig], None]
"""Sends one short call. Raises like ``Write``."""


@dataclass
class ProviderCheck:
    """The outcome of one check of all providers."""

    ready: list[Known] = field(default_factory=list)
    """LLMs whose study is to be triggered: new ones that passed the smoke test, known ones with an unfinished study."""
    failed: list[Known] = field(default_factory=list)
    """New ones that failed the smoke test."""
    passed_over: dict[str, str] = field(default_factory=dict)
    """New ones that were not tested, with the reason; the next check tests them."""
    waiting: list[Known] = field(default_factory=list)
    """LLMs whose study is unfinished and is not triggered now."""
    retired: list[Known] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    """Providers that listed nothing, with the reason; nothing is concluded from that."""
    listed: int = 0
    """Listed LLMs that match the patterns."""

    def table(self) -> list[dict[str, str]]:
        """A line for each LLM or provider that needs attention."""
        rows = [
            {"LLM": known.model, "provider": known.provider, "outcome": outcome, "why": known.note}
            for outcome, group in self._groups.items()
            for known in group
        ]
        passed = self.passed_over.items()
        rows += [{"LLM": model, "provider": "", "outcome": "passed over", "why": why} for model, why in passed]
        silent = self.silent.items()
        return rows + [{"LLM": "", "provider": name, "outcome": "no answer", "why": why} for name, why in silent]

    @property
    def headline(self) -> str:
        """The check in one line."""
        counts = {**self._groups, "passed over": self.passed_over}
        listed = f"{self.listed} LLM{'' if self.listed == 1 else 's'} listed"
        said = [listed, *(f"{len(items)} {name}" for name, items in counts.items() if items)]
        if self.silent:
            said.append("no answer from " + ", ".join(self.silent))
        return "; ".join(said if len(said) > 1 else [*said, "nothing new"])

    @property
    def _groups(self) -> dict[str, list[Known]]:
        return {"ready": self.ready, "failed": self.failed, "waiting": self.waiting, "retired": self.retired}


def sample_job(config: StudyConfig, data: TaskData) -> SynthesisJob:
    """The synthesis of the smoke test: the first rows that the study generates for a task. Raises ``UserError``."""
    job = next((job for job in synthesis_jobs(config, data) if job.imported is None), None)
    if job is None:
        raise UserError(
            f"study {config.name!r} generates no rows, so it cannot test a new LLM; add a mode that generates. "
            f"Its modes: {', '.join(config.modes)}"
        )
    return job


@dataclass(frozen=True)
class _Check:
    """A running check: its inputs, the functions it calls, and what it found."""

    config: WatchConfig
    sample: SynthesisJob
    store: Store
    now: str
    write: Write
    ask: Ask
    found: ProviderCheck = field(default_factory=ProviderCheck)

    def handle_listed(self, provider: ProviderConfig, generator: GeneratorConfig) -> None:
        """Test a listed LLM that is new or was retired, and continue an unfinished study."""
        known = self._recall(provider, generator.model)
        if known and known.status in ("ready", "stopped", "broken"):
            if _goes_on(known, self.now):
                self.found.ready.append(known if known.status == "ready" else replace(known, note="its study goes on"))
            else:
                self.found.waiting.append(
                    replace(known, note=f"{known.note}; start the deployment newcomer to continue now")
                )
        elif (
            known is None or known.status == "retired" or (known.status == "failed" and known.attempts < MOST_ATTEMPTS)
        ):
            self._take_up(generator, known or Known(generator.model, provider.address, "failed", self.now))

    def _recall(self, provider: ProviderConfig, model: str) -> Known | None:
        """The record of an LLM, with the provider that lists it now. A failure at a former address is forgotten."""
        known = recall(self.store, model)
        if known is None or known.provider == provider.address:
            return known
        moved = known.status == "failed" and known.provider not in {item.address for item in self.config.providers}
        attempts = 0 if moved else known.attempts
        return remember(self.store, replace(known, provider=provider.address, attempts=attempts))

    def _take_up(self, generator: GeneratorConfig, known: Known) -> None:
        tried = self._reason_against(generator) or (
            self._ask_again(generator, known) if known.status == "retired" else self._try(generator, known)
        )
        if isinstance(tried, str):
            self.found.passed_over[generator.model] = tried
        else:
            (self.found.ready if tried.status == "ready" else self.found.failed).append(remember(self.store, tried))

    def _reason_against(self, generator: GeneratorConfig) -> str:
        """Why an LLM is not tested now; empty if it is."""
        most = self.config.most_new
        taken_up = len(self.found.ready) + len(self.found.failed)
        return _too_expensive(generator, self.config) or (
            f"{most} new LLMs are tested in one check (most_new)" if taken_up >= most else ""
        )

    def _try(self, generator: GeneratorConfig, known: Known) -> Known | str:
        """The record after a smoke test; or the reason if the budget ended it, which says nothing about the LLM."""
        record = replace(known, status="failed", since=self.now, attempts=known.attempts + 1)
        try:
            made = self.write(_smoke_test(self.sample, generator, self.config.smoke_rows_per_label))
        except (RunError, UserError) as error:
            return replace(record, note=str(error))
        missing = [label for label, kept in made.label_counts.items() if not kept]
        if missing and made.stopped:
            return made.stopped
        if missing:
            why = f"{made.yields.requested} asked, {made.yields.kept} kept"
            return replace(record, note=f"no usable row of label {', '.join(map(repr, missing))} ({why})")
        return replace(record, status="ready", note="")

    def _ask_again(self, generator: GeneratorConfig, known: Known) -> Known | str:
        """The record of a retired LLM that is served again; or the reason why it stays retired."""
        try:
            self.ask(generator)
        except (RunError, UserError) as error:
            return f"it was retired, is listed again and does not answer: {error}"
        return replace(known, status="ready", since=self.now, note="it was retired and is back")

    def handle_unlisted(self, provider: ProviderConfig, listed: set[str]) -> None:
        """Retire LLMs that this provider no longer lists, if a call shows that it no longer serves them."""
        for known in everyone(self.store):
            missed = known.status in SERVED and known.provider == provider.address and known.model not in listed
            if not missed or not wanted(known.model, provider):  # models that the patterns hide are not missing
                continue
            try:
                self.ask(provider.generator(known.model))
            except GoneError as error:
                retired = replace(known, status="retired", since=self.now, note=str(error))
                self.found.retired.append(remember(self.store, retired))
            except (RunError, UserError) as error:
                LOGGER.warning(
                    "%s is no longer listed, but asking it failed, so it is not marked as retired: %s",
                    known.model,
                    error,
                )


def _goes_on(known: Known, now: str) -> bool:
    """Whether a study is triggered (again): its event was lost, a new month has a new budget, or it failed."""
    if known.status == "stopped":
        return known.since[:7] < now[:7]
    return known.status == "ready" or known.attempts < MOST_ATTEMPTS


def _smoke_test(sample: SynthesisJob, generator: GeneratorConfig, rows: int) -> SynthesisJob:
    fewer = {label: n for label, n in sample.fewer.items() if n < rows}
    return replace(sample, generator=generator, rows_per_label=rows, fewer=fewer)


def _too_expensive(generator: GeneratorConfig, config: WatchConfig) -> str:
    cost = price(generator)
    if cost is None:
        return "" if config.unknown_prices else "its price is unknown (unknown_prices: false)"
    dollars = cost.tokens_out * 1e6
    if config.most_usd_per_million is not None and dollars > config.most_usd_per_million:
        return f"${dollars:g} per million tokens is over most_usd_per_million {config.most_usd_per_million:g}"
    return ""


def check_providers(
    config: WatchConfig,
    sample: SynthesisJob,
    store: Store,
    now: str,
    write: Write,
    ask: Ask,
    list_: List = list_generators,
) -> ProviderCheck:
    """Ask all providers once.

    ``sample`` is a synthesis of the study with its generator to be replaced; ``now`` is an ISO time.
    """
    take_over(store, now)
    check = _Check(config, sample, store, now, write, ask)
    for provider in config.providers:
        try:
            listed = list_(provider)
        except (RunError, UserError) as error:
            check.found.silent[provider.address] = str(error)
            continue
        check.found.listed += len(listed)
        for generator in listed:
            check.handle_listed(provider, generator)
        check.handle_unlisted(provider, {item.model for item in listed})
    return check.found
