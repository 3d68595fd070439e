"""What is known about every LLM that a provider has listed: one record each in the store.

A record says what synthgap did with an LLM, so an outage of a provider, a lost database or another machine changes
nothing: an LLM that is not listed today stays known, and its results stay. Records, like results, are found by the
name of the model, whichever server it is on.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from tasks.config import GeneratorConfig
from tasks.discovery.listing import List, list_generators, lists_others_only
from tasks.errors import GoneError
from tasks.generation.synthesize import KIND as SYNTHESES
from tasks.records import Challenge, content_key
from tasks.store import Store

KIND = "llms"

Status = Literal["studied", "failed", "ready", "triggered", "stopped", "broken", "retired"]


@dataclass(frozen=True, slots=True)
class Known:
    """One LLM and its status.

    ``studied``: used by a study before there was a watch. ``failed`` or ``ready``: the result of the smoke test.
    ``triggered``: its study was started. ``stopped`` or ``broken``: the month's budget or a failure ended the study; a
    later check triggers it again. ``retired``: its provider no longer serves it.
    """

    model: str
    provider: str
    """The provider that listed it last: a name or an endpoint's address; empty if none did."""
    status: Status
    since: str
    """ISO time of the last change of status."""
    attempts: int = 0
    """Number of smoke tests, and of studies that a failure ended."""
    note: str = ""
    """Why it failed, or how it ended."""

    @property
    def generator(self) -> GeneratorConfig:
        """The LLM as a study lists it: its answers are stored under its endpoint's address."""
        return GeneratorConfig(model=self.model, api_base=self.provider if "://" in self.provider else None)


@dataclass(frozen=True)
class _Generated:
    """The fields that are read of a synthesis' record."""

    generator: str


@dataclass(frozen=True)
class _Studied:
    """The fields that are read of a stored synthesis."""

    synthesis: _Generated


def recall(store: Store, model: str) -> Known | None:
    """The record of an LLM; null if there is none."""
    return store.record(KIND, content_key(model), Known)


def remember(store: Store, known: Known) -> Known:
    """Store a record in place of the former one."""
    store.put(KIND, content_key(known.model), known)
    return known


def everyone(store: Store) -> Iterator[Known]:
    """All LLMs that have a record."""
    for key in store.keys(KIND):
        if found := store.record(KIND, key, Known):
            yield found


def mark_triggered(store: Store, known: Known) -> Known:
    """Record that the study of an LLM was started."""
    return remember(store, replace(known, status="triggered", since=timestamp(), note=""))


def take_over(store: Store, now: str) -> None:
    """Make records of the LLMs that studies used before there was a watch, because they are not new."""
    found = (store.record(SYNTHESES, key, _Studied) for key in store.keys(SYNTHESES))
    for model in {item.synthesis.generator for item in found if item}:
        if recall(store, model) is None:
            remember(store, Known(model, "", "studied", now))


def retire(store: Store, model: str, why: str, now: str) -> Known | None:
    """Record that a known LLM is no longer served. Returns null for a name without a record, which is misspelt.

    The texts of the LLM stay and are still compared.
    """
    take_over(store, now)
    known = recall(store, model)
    return known and remember(store, replace(known, status="retired", since=now, note=why))


def mark_retired(challenges: Iterable[Challenge], store: Store) -> tuple[Challenge, ...]:
    """The challenges, with those LLMs marked that are no longer served: the best so far may be one of them."""

    def retired(maker: str) -> bool:
        known = recall(store, maker.rpartition(" · ")[2].partition(" (")[0])  # without mode and settings
        return known is not None and known.status == "retired"

    sides = (((item.challenger, item.champion), item) for item in challenges)
    return tuple(
        replace(item, retired=tuple(maker for maker in makers if maker and retired(maker))) for makers, item in sides
    )


@contextlib.contextmanager
def noting_retired(store: Store, list_: List = list_generators) -> Iterator[None]:
    """If a provider says during the block that it does not serve an LLM, record this; the error is raised again.

    It is recorded only if the provider lists other LLMs and not this one: a wrong address answers 404 to everything.
    """
    try:
        yield
    except GoneError as error:
        if lists_others_only(error.model, error.api_base, list_, error.api_key_env):
            retire(store, error.model, str(error), timestamp())
        raise


def timestamp() -> str:
    """The time now, as ISO text in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
