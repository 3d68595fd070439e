"""Journals of completed LLM calls: one JSON line for each call, written to disk before the answer is used.

There is one file for each calls key, which one process uses at a time. Each line begins with its schema version and
ends with a checksum. If a kill interrupts a write, the incomplete last line is dropped and its call is made again. A
damaged line is moved to ``<journal>.damaged`` and its call is made again; all other lines are kept, also those that
lost only their line end. Calls that complete at the same time share one fsync, so that a slow disk does not delay
calls. Memory has only the position of each entry, because a journal may have millions of them.
"""

import asyncio
import logging
import os
import re
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import FileIO
from itertools import islice
from pathlib import Path

from filelock import FileLock, Timeout

from tasks import jsonl
from tasks.errors import RunError, writing
from tasks.files import make_folder, replacing, sync
from tasks.jsonl import DamagedError
from tasks.llm.calls import Answer
from tasks.llm.model_names import same_model
from tasks.records import Spent, known_sum
from tasks.versions import check_version
from tasks.waiting import wait_for

LOGGER = logging.getLogger("synthgap")

SCHEMA = 1
"""Version of a line. Lines of version 0 have neither a version nor a checksum."""
CHECKSUM = re.compile(rb', "crc": "([0-9a-f]{8})"\}\Z')
"""The end of a line: CRC-32 of all bytes before it."""
CHECKSUM_BYTES = len(', "crc": "00000000"}')
VERSION = re.compile(rb'\{"v": (\d{1,9}), ')
"""The beginning of a line."""
LINE_BYTES = 2048
"""Bytes of the first read of a line; most lines are shorter."""
SEAM = re.compile(rb'(?=\{"(?:v|call)": )|(?<=, "crc": "[0-9a-f]{8}"\})')
"""Matches only the beginning or end of a line, because quotes inside a text are escaped."""


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
    """The model that was called."""
    model: str
    """The model that answered, as the provider reports it."""
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    session: str
    """The run of the synthesis that made the call."""
    elapsed: float
    """Seconds from the start of that run to the answer."""
    time: str
    """When it was answered, UTC."""
    seconds: float | None = None
    """From the call to its answer, including waiting and repeats; null if it was not recorded."""
    estimated: bool = False
    """Whether the tokens are upper limits, because the provider did not report them."""


Usable = Callable[[Entry], bool]
"""Whether a call can be used; others stay in the file and are made again."""


def _any(entry: Entry) -> bool:
    return True


def answered_by(asked: str) -> Usable:
    """Selects the calls that the model ``asked`` answered: the answers of another model are never used."""
    return lambda entry: same_model(asked, entry.model)


@dataclass
class CallTotals:
    """Sums over calls."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = 0.0
    """Null if the price of a call is unknown."""
    estimated: int = 0
    """Calls whose tokens and cost are upper limits."""
    models: set[str] = field(default_factory=set)
    """The models that answered."""
    _last: dict[str, float] = field(default_factory=dict)
    """Seconds from the start of each run to its last answer."""

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "CallTotals":
        """The sums over some calls."""
        made = cls()
        for entry in entries:
            made.add(entry)
        return made

    def add(self, entry: Entry) -> None:
        """Count one more call."""
        self.calls += 1
        self.tokens_in += entry.tokens_in
        self.tokens_out += entry.tokens_out
        self.cost_usd = known_sum([self.cost_usd, entry.cost_usd])
        self.estimated += entry.estimated
        self.models.add(entry.model)
        self._last[entry.session] = max(self._last.get(entry.session, 0.0), entry.elapsed)

    @property
    def seconds(self) -> float:
        """Wall time of the runs that made the calls, each from its start to the last of its calls."""
        return round(sum(self._last.values()), 3)

    @property
    def model_answered(self) -> str:
        """The models that answered, sorted."""
        return ", ".join(sorted(self.models))

    @property
    def spent(self) -> Spent:
        """What the calls cost."""
        return Spent(self.calls, self.tokens_in, self.tokens_out, self.cost_usd, self.seconds, self.estimated)


class Entries(Mapping[str, Entry]):
    """The completed calls in a journal's file by their ids; each is read from the file on access."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts: dict[str, int] = {}
        self._file: int | None = None
        if path.exists():
            self._file = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)

    def add(self, call: str, start: int) -> None:
        """Record the byte of the file at which the newest entry of a call begins."""
        self._starts[call] = start

    def forget(self, call: str) -> None:
        """Remove a call, if it is there."""
        self._starts.pop(call, None)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._starts)

    def __contains__(self, call: object) -> bool:
        return call in self._starts

    def __getitem__(self, call: str) -> Entry:
        pieces = _pieces(self._line(self._starts[call]) + b"\n", self._path)
        if (entry := pieces[0][1]) is None or entry.call != call:
            raise RunError(f"the journal {str(self._path)!r} was changed or damaged while it was in use; run again")
        return entry

    def _line(self, start: int) -> bytes:
        """The file from byte ``start`` to the end of the line. Unbuffered, because the file may be growing."""
        if self._file is None:
            raise ValueError(f"{self._path} was not there")
        line, size = b"", LINE_BYTES
        while b"\n" not in line and (more := os.pread(self._file, size, start + len(line))):
            line, size = line + more, 8 * size
        return line.partition(b"\n")[0]


@dataclass
class _Batch:
    """Lines that are written together, and the error if they could not be."""

    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    """Bytes of the lines."""
    start: int = 0
    """Byte of the file at which the lines begin."""
    error: RunError | None = None

    def add(self, line: bytes) -> int:
        """Add a line; returns the byte of the batch at which it begins."""
        self.lines.append(line)
        self.size += len(line)
        return self.size - len(line)


class Journal:
    """An open journal; see ``open_journal``."""

    def __init__(self, path: Path, name: str, usable: Usable = _any) -> None:
        self._usable = usable
        found = _scan(path, usable)
        if _repair(path, name, found):
            found = _scan(path, usable)
        self.path = path
        """Its file."""
        self._whole = found.size
        self._file: FileIO = path.open("ab", buffering=0)  # a line that failed must not stay in a buffer
        self._file.truncate(found.size)
        self.entries = found.entries if len(found.entries) else Entries(path)
        """Completed calls by id; the last one if several have the same id."""
        if found.open_end:
            self._write(b"\n")
        sync(path.parent)
        self._found = len(self.entries)
        self._batch = _Batch()
        self._writing = asyncio.Lock()

    async def append(self, entry: Entry) -> None:
        """Write an entry; returns when it is on disk. Raises ``RunError`` if it cannot be written."""
        batch = self._batch
        place = batch.add(to_line(entry))
        async with self._writing:
            if batch is self._batch:  # else the previous holder of the lock wrote this line
                self._batch = _Batch()
                batch.start = self._whole
                try:
                    await asyncio.to_thread(self._write, b"".join(batch.lines))
                except RunError as error:
                    batch.error = error
        if batch.error:
            raise batch.error
        self.entries.add(entry.call, batch.start + place)

    def _write(self, lines: bytes) -> None:
        with writing("the journal", self.path):
            try:
                written = 0
                while written < len(lines):  # a write to a nearly full disk can be partial
                    written += self._file.write(lines[written:])
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(self._whole)  # an incomplete line would also damage the next line
                raise
        self._whole += len(lines)

    def made(self) -> Iterator[str]:
        """Ids of the calls that were made since the journal was opened, in the order of their answers."""
        return islice(self.entries, self._found, None)

    def adopt(self, entries: Iterable[Entry]) -> None:
        """Write calls from another place, except those that the journal has. Raises ``RunError`` like ``append``."""
        new = {entry.call: entry for entry in entries if entry.call not in self.entries and self._usable(entry)}
        batch = _Batch(start=self._whole)
        places = {call: batch.add(to_line(entry)) for call, entry in new.items()}
        self._write(b"".join(batch.lines))
        for call, place in places.items():
            self.entries.add(call, batch.start + place)
        self._found = len(self.entries)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path) -> Entries:
    """Completed calls by id; empty if there is no journal. Damaged lines are skipped."""
    return _scan(path).entries


def entries_in(content: bytes, path: Path) -> list[Entry]:
    """The calls in the content of a journal, without damaged lines; ``path`` is the place of the content."""
    pieces = (piece for line in content.split(b"\n") for piece in _pieces(line, path))
    return [entry for _, entry in pieces if entry is not None]


def to_line(entry: Entry) -> bytes:
    """An entry as a line of a journal."""
    body = jsonl.encode({"v": SCHEMA, **asdict(entry)}).removesuffix(b"}")
    return body + b', "crc": "%08x"}\n' % zlib.crc32(body)


def from_line(line: bytes, where: str) -> Entry:
    """The entry in a line without its line feed. Raises ``DamagedError``, and ``NewerError`` for a newer schema."""
    end = CHECKSUM.search(line, max(0, len(line) - CHECKSUM_BYTES))
    if end and zlib.crc32(line[: end.start()]) != int(end[1], 16):
        raise DamagedError("the checksum differs")
    if start := VERSION.match(line):
        check_version(where, int(start[1]), SCHEMA, "use another SYNTHGAP_HOME")
        if not end:
            raise DamagedError("the checksum is missing")
    return jsonl.from_line(line, Entry)


@dataclass
class _Scan:
    """The content of a journal's file."""

    entries: Entries
    whole: int = 0
    """Lines that contain an entry."""
    damaged: int = 0
    """Lines that contain no entry."""
    size: int = 0
    """Bytes of its lines."""
    unfinished: bool = False
    """Whether an incomplete line follows them, because the process was killed while writing."""
    open_end: bool = False
    """Whether the last line contains an entry but has no line feed."""


def _scan(path: Path, usable: Usable = _any) -> _Scan:
    found = _Scan(Entries(path))
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                pieces = _pieces(line, path)
                if not pieces:
                    found.unfinished = True
                    break
                start = found.size
                found.size += len(line)
                found.open_end = not line.endswith(b"\n")
                for piece, entry in pieces:
                    if entry is None:
                        found.damaged += 1
                    elif usable(entry):
                        found.entries.add(entry.call, start)
                    else:
                        found.entries.forget(entry.call)
                    found.whole += entry is not None
                    start += len(piece) - 1  # without the line feed that was added to each piece
    return found


def _pieces(line: bytes, path: Path) -> list[tuple[bytes, Entry | None]]:
    """The entry of a line, null if it is damaged; several if the line feed between two entries was lost.

    Empty for an incomplete last line without an entry.
    """
    whole = line.removesuffix(b"\n")
    if (entry := _entry(whole, path)) is not None:
        return [(whole + b"\n", entry)]
    pieces = [(piece + b"\n", _entry(piece, path)) for piece in SEAM.split(whole) if piece] or [(line, None)]
    if whole == line and not any(entry for _, entry in pieces):
        return []
    return pieces


def _entry(line: bytes, path: Path) -> Entry | None:
    try:
        return from_line(line, f"the journal {str(path)!r}")
    except DamagedError:
        return None


def _repair(path: Path, name: str, found: _Scan) -> bool:
    """Move damaged lines to another file, so that they are reported only once; returns whether there were any."""
    if found.unfinished:
        LOGGER.warning("%s: the last line of the journal %s is incomplete; its call is made again", name, path)
    if not found.damaged:
        return False
    aside = path.with_name(f"{path.name}.damaged")
    with replacing(path) as draft, path.open("rb") as file, draft.open("wb") as whole, aside.open("ab") as damaged:
        for line in file:
            for piece, entry in _pieces(line, path):
                (damaged if entry is None else whole).write(piece)
        damaged.flush()
        os.fsync(damaged.fileno())
    LOGGER.warning(
        "%s: damaged lines of the journal %s: %d, set aside in %s; calls they held are made again, the other %d stay",
        *(name, path, found.damaged, aside.name, found.whole),
    )
    return True


@contextmanager
def open_journal(path: Path, name: str, usable: Usable = _any) -> Iterator[Journal]:
    """The journal at ``path``, created if necessary; waits, with a warning, while another process has it open.

    Calls that are not ``usable`` are not among its entries.
    """
    lock = FileLock(f"{path}.lock", thread_local=False)
    with writing("the journal", path):
        make_folder(path.parent)
        try:
            lock.acquire(timeout=0.1)
        except Timeout:
            LOGGER.warning("%s is being generated by another run; waiting for it", name)
            wait_for(lock, f"the run that generates {name}")
    try:
        with writing("the journal", path):
            journal = Journal(path, name, usable)
        try:
            yield journal
        finally:
            journal.close()
    finally:
        lock.release()
