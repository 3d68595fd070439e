"""Every completed LLM call, one JSON line each, on disk before anything else happens to it.

One file per calls key, in use by one process at a time. A line that a kill tore is dropped: its call is asked again.
Calls that complete together share one fsync, so that a slow disk does not slow the calls down.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tasks.errors import RunError, writing
from tasks.synthesis.calls import Answer
from tasks.waiting import wait_for

LOGGER = logging.getLogger("synthgap")


@dataclass(frozen=True, slots=True)
class Entry:
    """One completed call."""

    call: str
    """Id: label, conversation and turn."""
    prompt: str
    """Hash of the messages."""
    seed: int
    answers: tuple[Answer, ...]
    asked: str
    """The model that was asked."""
    model: str
    """The model that the provider says answered."""
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    session: str
    """Which run of the synthesis asked."""
    elapsed: float
    """Seconds from the start of that run to the answer."""
    time: str
    """When it was answered, UTC."""
    seconds: float | None = None
    """From the call to its answer, waiting for a turn and repeats included; null where it was not recorded."""
    estimated: bool = False
    """The provider did not say how many tokens it took, so they are the most that there can have been."""


@dataclass
class _Batch:
    """Lines that are written together, and why they could not be."""

    lines: list[bytes] = field(default_factory=list)
    error: RunError | None = None


class Journal:
    """An open journal; see ``open_journal``."""

    def __init__(self, path: Path) -> None:
        self.entries: dict[str, Entry] = {}
        """Completed calls by id; of several with one id the last."""
        whole = 0
        for entry, end in _read(path):
            self.entries[entry.call] = entry
            whole = end
        self._path, self._whole = path, whole
        self._file: FileIO = path.open("ab", buffering=0)  # a refused line shall not wait in a buffer
        self._file.truncate(whole)
        self._batch = _Batch()
        self._writing = asyncio.Lock()

    async def append(self, entry: Entry) -> None:
        """Write an entry; returns when it is safely on disk. Raises ``RunError`` when the disk refuses."""
        batch = self._batch
        batch.lines.append((json.dumps(asdict(entry), ensure_ascii=False) + "\n").encode())
        async with self._writing:
            if batch is self._batch:  # otherwise who held the lock before took this line along
                self._batch = _Batch()
                try:
                    await asyncio.to_thread(self._write, b"".join(batch.lines))
                except RunError as error:
                    batch.error = error
        if batch.error:
            raise batch.error
        self.entries[entry.call] = entry

    def _write(self, lines: bytes) -> None:
        with writing("the journal", self._path):
            try:
                written = 0
                while written < len(lines):  # a disk that is nearly full takes a part
                    written += self._file.write(lines[written:])
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(self._whole)  # a torn line in the middle would hide what follows it
                raise
        self._whole += len(lines)

    def keep(self, usable: Callable[[Entry], bool]) -> None:
        """Leave calls out that cannot be used; they stay in the file and are made again."""
        self.entries = {call: entry for call, entry in self.entries.items() if usable(entry)}

    @property
    def folder(self) -> Path:
        """Where the journals of this home are."""
        return self._path.parent

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path) -> dict[str, Entry]:
    """Completed calls by id; none when there is no journal."""
    return {entry.call: entry for entry, _ in _read(path)}


def _read(path: Path) -> Iterator[tuple[Entry, int]]:
    """Whole entries and where each ends in the file, up to the first torn line."""
    if not path.exists():
        return
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if not line.endswith(b"\n"):
                return
            try:
                fields = json.loads(line)
            except ValueError:
                return
            yield parse_entry(fields, str(path)), end


def parse_entry(fields: Any, where: str) -> Entry:
    """The entry of a line. Raises ``RunError`` for one that was not torn but never was an entry: it may be paid for."""
    try:
        answers = tuple(Answer(**answer) for answer in fields["answers"])
        return Entry(**{**fields, "answers": answers})
    except (KeyError, TypeError):
        raise RunError(f"{where!r} is no journal that this version can read; move it away to ask anew") from None


def wall_seconds(entries: Iterable[Entry]) -> float:
    """Wall time of the runs that made these calls, from each one's start to its last of them."""
    last: dict[str, float] = {}
    for entry in entries:
        last[entry.session] = max(last.get(entry.session, 0.0), entry.elapsed)
    return round(sum(last.values()), 3)


@contextmanager
def open_journal(path: Path, name: str) -> Iterator[Journal]:
    """The journal at ``path``, created if need be; waits, and says so, while another process has it open."""
    lock = FileLock(f"{path}.lock", thread_local=False)
    with writing("the journal", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0.1)
        except Timeout:
            LOGGER.warning("%s is being generated by another run; waiting for it", name)
            wait_for(lock, f"the run that generates {name}")
    try:
        with writing("the journal", path):
            journal = Journal(path)
        try:
            yield journal
        finally:
            journal.close()
    finally:
        lock.release()
