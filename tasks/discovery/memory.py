"""What is known of every LLM that a provider ever listed: one record each in the store.

A record says what *we* did with an LLM, so a provider's outage, a lost database or another machine changes nothing: an
LLM that is not listed today stays known, and its past results stay. Like results, records go by the model's name,
wherever it is served.
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
    """One LLM.

    It was ``studied`` before there was a watch; or tried, and ``failed`` or found ``ready``; then its study was
    ``triggered``, and was perhaps ``stopped`` by the month's budget or ``broken`` off by a failure, until a later check
    triggers it again; in the end its provider ``retired`` it.
    """

    model: str
    provider: str
    """Who listed it last: a provider's name or an endpoint's address; empty before anybody did."""
    status: Status
    since: str
    """ISO time of the last change of status."""
    attempts: int = 0
    """Smoke tests so far, and studies that a failure broke off."""
    note: str = ""
    """Why it failed, or how it ended."""

    @property
    def generator(self) -> GeneratorConfig:
        """The LLM as its provider's study names it: what it wrote is kept under its endpoint's address."""
        return GeneratorConfig(model=self.model, api_base=self.provider if "://" in self.provider else None)


@dataclass(frozen=True)
class _Generated:
    """What is read of the record of a synthesis."""

    generator: str


@dataclass(frozen=True)
class _Studied:
    """What is read of a stored synthesis."""

    synthesis: _Generated


def recall(store: Store, model: str) -> Known | None:
    """What is known of an LLM; null when no provider ever listed it."""
    return store.record(KIND, content_key(model), Known)


def remember(store: Store, known: Known) -> Known:
    """Keep what is known now, in the place of what was."""
    store.put(KIND, content_key(known.model), known)
    return known


def everyone(store: Store) -> Iterator[Known]:
    """All LLMs of which there is a record."""
    for key in store.keys(KIND):
        if found := store.record(KIND, key, Known):
            yield found


def mark_triggered(store: Store, known: Known) -> Known:
    """Note that the study of an LLM was started."""
    return remember(store, replace(known, status="triggered", since=timestamp(), note=""))


def take_over(store: Store, now: str) -> None:
    """Make records of the LLMs that studies used before there was a watch: they are not new."""
    found = (store.record(SYNTHESES, key, _Studied) for key in store.keys(SYNTHESES))
    for model in {item.synthesis.generator for item in found if item}:
        if recall(store, model) is None:
            remember(store, Known(model, "", "studied", now))


def retire(store: Store, model: str, why: str, now: str) -> Known | None:
    """Note that a known LLM is no longer served; a name without a record is a misspelt one.

    Null then. What it wrote stays, and goes on being compared.
    """
    take_over(store, now)
    known = recall(store, model)
    return known and remember(store, replace(known, status="retired", since=now, note=why))


def mark_retired(challenges: Iterable[Challenge], store: Store) -> tuple[Challenge, ...]:
    """The challenges, with a mark on LLMs that are not served any more: the best so far may no longer be available."""

    def retired(maker: str) -> bool:
        known = recall(store, maker.rpartition(" · ")[2].partition(" (")[0])  # without mode and settings
        return known is not None and known.status == "retired"

    sides = (((item.challenger, item.champion), item) for item in challenges)
    return tuple(
        replace(item, retired=tuple(maker for maker in makers if maker and retired(maker))) for makers, item in sides
    )


@contextlib.contextmanager
def noting_retired(store: Store, list_: List = list_generators) -> Iterator[None]:
    """Where a provider says meanwhile that it does not serve an LLM (any more), note that; the error goes on.

    It is believed where it lists others and not this one: a wrong address answers 404 to everything.
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
