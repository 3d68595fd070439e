"""Content-addressed artifacts on any fsspec URL: the same key always means the same artifact.

An artifact is a folder ``<kind>/<key>/`` whose ``manifest.json`` is written last. Without it the artifact does not
exist, so a run that is killed while writing leaves nothing that looks finished. The manifest has the size and hash of
each file of the artifact, and a hash of itself. A damaged artifact is treated as absent: one warning is logged, and the
artifact is made again. Listings are not cached, because other processes and machines write to the same store.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import fsspec

from tasks import jsonl
from tasks.errors import RunError, without_password, writing
from tasks.files import make_folder, replace_file, replacing
from tasks.jsonl import DamagedError
from tasks.settings import PROBE, Settings
from tasks.versions import NewerError, check_version, is_version

LOGGER = logging.getLogger("synthgap")

T = TypeVar("T")

SCHEMA = 1
"""Version of the storage format, in every manifest. Version 0 had neither versions nor hashes. Increase it if an older
synthgap would misread a manifest or the records in a file."""
MANIFEST = "manifest.json"
ENVELOPE = "stored"
"""Field of a manifest that only the store uses."""
WRITABLE = ".writable"
"""File that is written to check that a store is writable."""
READS, PAUSE_S = 3, 0.1
"""How often a file is read before it counts as damaged, and the seconds between reads: another process may be writing
it."""
PART = 8 * 2**20
"""Bytes of a file that are read at once, then hashed or sent."""
AT_ONCE = 500
"""Most manifests that are read at the same time, which limits memory."""
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}
"""Protocols of stores without folders, which replace a whole object or nothing."""


@dataclass(frozen=True, slots=True)
class _File:
    """Size and hash of a file of an artifact."""

    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "_File":
        return cls(len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def copied(cls, parts: Iterable[bytes], target: IO[bytes] | None = None) -> "_File":
        """Size and hash of content that comes in parts, which are also written to ``target`` if it is given."""
        size, digest = 0, hashlib.sha256()
        for part in parts:
            size += len(part)
            digest.update(part)
            if target is not None:
                target.write(part)
        return cls(size, digest.hexdigest())


@dataclass(frozen=True)
class _Envelope:
    """What the store records about an artifact."""

    schema: int = 0
    files: Mapping[str, _File] | None = field(default=None)
    """Null if they were not recorded (schema 0)."""

    def describes(self, name: str, found: _File) -> bool:
        """Whether a file has its recorded size and hash, or none are recorded."""
        return self.files is None or self.files.get(name) == found


class Store:
    """Artifacts below one fsspec URL (``./folder``, ``s3://bucket/prefix``, ``gs://bucket``, ``memory://x``).

    The library for the URL's protocol reads credentials and endpoints from the environment. All methods raise
    ``RunError`` if the store cannot be reached or denies access, and for an artifact that a newer synthgap wrote.
    """

    def __init__(self, url: str) -> None:
        self.url = without_password(url)
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise RunError(f"cannot open the store {self.url!r}: {error}") from None
        self.root = self.root.rstrip("/")
        protocol = self.fs.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self._local, self._folders = "file" in protocols, not protocols & OBJECT_STORES

    def __eq__(self, other: object) -> bool:
        """Two stores with the same URL are equal: they have the same artifacts."""
        return isinstance(other, Store) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The manifest of a finished artifact; null if there is none. Its files are not read."""
        try:
            return self._open(kind, key)[0]
        except FileNotFoundError:
            return None

    def record(self, kind: str, key: str, of: type[T]) -> T | None:
        """The manifest of a finished artifact as a record; null if there is none or it is damaged."""
        manifest = self.get(kind, key)
        if manifest is None:
            return None
        try:
            return jsonl.from_value(manifest, of)
        except DamagedError as error:
            self.damaged(kind, key, f"{MANIFEST}: {error}")
            return None

    def finished(self, kind: str, keys: Iterable[str]) -> set[str]:
        """Those of the keys that have a finished artifact. Its files are not read.

        Many manifests are read at the same time if the store can do that: an object store has a high latency.
        """
        found = set()
        wanted = iter(keys)
        while some := list(itertools.islice(wanted, AT_ONCE)):
            with self._clear_errors(f"read {kind} from"):
                contents = self.fs.cat_ranges([self._path(kind, key, MANIFEST) for key in some], None, None)
            for key, content in zip(some, contents, strict=True):
                if isinstance(content, FileNotFoundError):
                    continue
                with self._clear_errors(f"read {kind}/{key} from"):
                    if isinstance(content, Exception):
                        raise content
                with contextlib.suppress(FileNotFoundError):
                    self._opened(kind, key, content)
                    found.add(key)
        return found

    def put(
        self,
        kind: str,
        key: str,
        manifest: object,
        files: Mapping[str, bytes | Iterable[Any]] | None = None,
    ) -> None:
        """Write an artifact's files, then its manifest (fields, or a record).

        The content of a file is bytes, or records that are written as JSON lines. An item that is already bytes must
        be a JSON line.
        """
        with self._clear_errors(f"write {kind}/{key} to", RunError):
            known = {}
            for name, items in (files or {}).items():
                path = self._path(kind, key, name)
                if isinstance(items, bytes):
                    self._write(path, items)
                    known[name] = asdict(_File.of(items))
                else:
                    known[name] = asdict(self._write_parts(path, jsonl.to_lines(items)))
            self._write(self._path(kind, key, MANIFEST), _sealed(manifest, {"schema": SCHEMA, "files": known}))

    def file(self, kind: str, key: str, name: str) -> bytes:
        """One file of a finished artifact. Raises ``FileNotFoundError`` if it is absent or damaged."""
        with self._whole(kind, key, name) as file:
            return file.read()

    def as_it_stands(self, kind: str, key: str, name: str) -> bytes | None:
        """One file of an artifact, also of an unfinished or damaged one; null if there is no such file."""
        return self._read(kind, key, name)

    def rows(self, kind: str, key: str, name: str, of: type[T]) -> tuple[T, ...]:
        """The records in a file of a finished artifact. Raises ``FileNotFoundError`` like ``file``."""
        return tuple(self.each_row(kind, key, name, of))

    def each_row(self, kind: str, key: str, name: str, of: type[T]) -> Iterator[T]:
        """The same records one by one, for files larger than the memory.

        Raises ``FileNotFoundError`` at the first record, and later at a line that contains no record.
        """
        with self._whole(kind, key, name) as file:
            try:
                yield from jsonl.from_lines(file, of)
            except DamagedError as error:
                raise self.damaged(kind, key, f"{name}: {error}") from None

    def verified(self, kind: str, key: str) -> bool:
        """Whether an artifact is finished and its files are undamaged; false if their hashes were not recorded."""
        try:
            _, stored = self._checked(kind, key)
        except FileNotFoundError:
            return False
        return stored.files is not None

    def digest(self, kind: str, key: str) -> str | None:
        """A hash of a finished artifact and its files; null if it is absent or damaged."""
        try:
            manifest, stored = self._checked(kind, key)
        except FileNotFoundError:
            return None
        return _hash([manifest, asdict(stored)])

    def damaged(self, kind: str, key: str, why: str) -> FileNotFoundError:
        """Log that a damaged artifact is treated as absent; returns the error to raise."""
        _say_damaged(self.url, f"{kind}/{key}", why)
        return FileNotFoundError(f"{kind}/{key} in the store {self.url!r} is damaged: {why}")

    def keys(self, kind: str) -> list[str]:
        """Keys of all finished artifacts of a kind, sorted."""
        with self._clear_errors(f"list {kind} of"):
            found = self.fs.find(f"{self.root}/{kind}")  # one listing; on an object store a glob lists each folder
        return sorted(path.split("/")[-2] for path in found if path.endswith(f"/{MANIFEST}"))

    def past(self, kind: str, of: type[T], most: int | None = None) -> Iterator[T]:
        """Manifests of a kind that can be read, at most ``most`` of them: for estimates, which do not need all."""
        for key in self.keys(kind)[-most if most else None :]:
            with contextlib.suppress(NewerError):
                if (found := self.record(kind, key, of)) is not None:
                    yield found

    def check_writable(self) -> None:
        """Raise ``RunError`` if nothing can be written. Call it before any LLM call is paid for."""
        path = f"{self.root}/{WRITABLE}"
        with self._clear_errors("write to"):
            self._write(path, bytes(PROBE))
        with contextlib.suppress(Exception):  # permission to write does not include permission to delete
            self.fs.rm_file(path)

    def listing(self) -> list[tuple[str, str, int, float]]:
        """Kind, key, bytes and time of the last change (seconds since 1970) of all artifacts, also unfinished ones."""
        sizes: dict[tuple[str, str], tuple[int, float]] = {}
        with self._clear_errors("list"):
            for path, facts in self.fs.find(self.root, detail=True).items():
                kind, key, *file = path.removeprefix(self.root).strip("/").split("/")
                if file:
                    size, changed = sizes.get((kind, key), (0, 0.0))
                    sizes[kind, key] = size + int(facts["size"] or 0), max(changed, _changed(facts))
        return [(kind, key, size, changed) for (kind, key), (size, changed) in sorted(sizes.items())]

    def delete(self, kind: str, key: str) -> None:
        """Remove an artifact, its manifest first, so that a partly removed artifact does not count as finished."""
        with self._clear_errors(f"remove {kind}/{key} from"):
            if self.fs.exists(manifest := self._path(kind, key, MANIFEST)):
                self.fs.rm_file(manifest)
            if self.fs.exists(folder := f"{self.root}/{kind}/{key}"):
                self.fs.rm(folder, recursive=True)

    def has_manifest(self, kind: str, key: str) -> bool:
        """Whether an artifact has a manifest, damaged or not."""
        with self._clear_errors(f"read {kind}/{key} from"):
            return bool(self.fs.exists(self._path(kind, key, MANIFEST)))

    def touch(self, kind: str, key: str) -> None:
        """Record on a local disk that an artifact is in use, so that pruning does not remove it.

        On other stores nothing is recorded: the age of an artifact there is the time since it was written.
        """
        if self._local:
            with contextlib.suppress(OSError):  # another user may own the store's files
                os.utime(self._path(kind, key, MANIFEST))

    @contextmanager
    def _clear_errors(self, doing: str, *passed: type[Exception]) -> Iterator[None]:
        """Turn the exceptions of any kind of store into ``RunError``, except ``passed``, which the caller handles."""
        try:
            yield
        except passed:
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise RunError(f"cannot {doing} the store {self.url!r}: {lines[0]}") from error

    def _open(self, kind: str, key: str) -> tuple[dict[str, Any], _Envelope]:
        """Manifest and envelope. Raises ``FileNotFoundError`` if there is none or it is damaged."""
        content = self._read(kind, key, MANIFEST)
        if content is None:
            raise FileNotFoundError(f"there is no {kind}/{key}")
        return self._opened(kind, key, content)

    def _checked(self, kind: str, key: str) -> tuple[dict[str, Any], _Envelope]:
        """Like ``_open``, and raises ``FileNotFoundError`` also for a damaged file."""
        manifest, stored = self._open(kind, key)
        for name in stored.files or ():
            with self._whole(kind, key, name):
                pass
        return manifest, stored

    def _opened(self, kind: str, key: str, content: bytes) -> tuple[dict[str, Any], _Envelope]:
        """Manifest and envelope from a manifest's content. Raises ``FileNotFoundError`` for a damaged one."""
        try:
            return _unsealed(content, f"{kind}/{key} in the store {self.url!r}")
        except DamagedError as error:
            raise self.damaged(kind, key, f"{MANIFEST} {error}") from None

    def _read(self, kind: str, key: str, name: str) -> bytes | None:
        try:
            with self._clear_errors(f"read {kind}/{key} from", FileNotFoundError):
                content: bytes = self.fs.cat_file(self._path(kind, key, name))
        except FileNotFoundError:
            return None
        return content

    @contextmanager
    def _whole(self, kind: str, key: str, name: str) -> Iterator[IO[bytes]]:
        """A file of a finished artifact, checked for damage. Raises ``FileNotFoundError`` like ``file``."""
        with contextlib.ExitStack() as files:
            for attempt in range(READS):
                if attempt:
                    time.sleep(PAUSE_S)
                _, stored = self._open(kind, key)
                if stored.files is not None and name not in stored.files:
                    raise FileNotFoundError(f"{kind}/{key} has no {name}")
                found = self._file_of(kind, key, name)
                if found is None and stored.files is None:
                    raise FileNotFoundError(f"{kind}/{key} has no {name}")
                if found is not None:
                    file = files.enter_context(found)
                    with self._clear_errors(f"read {kind}/{key} from"):
                        read = _File.copied(iter(partial(file.read, PART), b""))
                    file.seek(0)
                    if stored.describes(name, read):
                        yield file
                        return
            raise self.damaged(kind, key, f"{name} is not as it was written")

    def _file_of(self, kind: str, key: str, name: str) -> IO[bytes] | None:
        """A file of an artifact, or a local copy of a remote one; null if there is none."""
        path = self._path(kind, key, name)
        try:
            with self._clear_errors(f"read {kind}/{key} from", FileNotFoundError):
                if self._local:
                    return Path(path).open("rb")
                copy = tempfile.SpooledTemporaryFile(PART)  # noqa: SIM115  # the caller closes it
                with self.fs.open(path, "rb") as remote:
                    shutil.copyfileobj(remote, copy, PART)
                copy.seek(0)
                return copy
        except FileNotFoundError:
            return None

    def _path(self, kind: str, key: str, name: str) -> str:
        return f"{self.root}/{kind}/{key}/{name}"

    def _write_parts(self, path: str, parts: Iterable[bytes]) -> _File:
        """Write a file that may be larger than the memory. A remote file is written after all of its parts exist."""
        if self._local:
            make_folder(Path(path).parent)
            with replacing(Path(path)) as draft, draft.open("wb") as file:
                return _File.copied(parts, file)
        with tempfile.SpooledTemporaryFile(PART) as spool:
            written = _File.copied(parts, spool)
            spool.seek(0)
            if written.size <= PART:
                self._write(path, spool.read())
                return written
            if self._folders:
                self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            with self.fs.open(path, "wb") as remote:
                shutil.copyfileobj(spool, remote, PART)
        return written

    def _write(self, path: str, content: bytes) -> None:
        if self._local:
            make_folder(Path(path).parent)
            replace_file(Path(path), content)
            return
        if self._folders:  # on an object store, this would create a bucket if its name is misspelt
            self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self.fs.pipe_file(path, content)


@contextmanager
def needed() -> Iterator[None]:
    """Turn the ``FileNotFoundError`` for an artifact that a study has already made into one ``RunError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{error}; run the study again: what its journals hold costs nothing") from None


def check_places(settings: Settings) -> None:
    """Raise ``RunError`` if the home, its journals or the store cannot be written. Call it before any LLM call."""
    settings.check_home()
    probe = settings.home / "journals" / WRITABLE
    with writing("journals in", probe.parent):
        make_folder(probe.parent)
        replace_file(probe, bytes(PROBE))
        probe.unlink(missing_ok=True)  # another run that starts at the same time may have removed it
    Store(settings.store_url).check_writable()


def _sealed(manifest: object, stored: Mapping[str, Any]) -> bytes:
    """A manifest's content as it is written: the fields and the envelope, which has a hash of everything else."""
    plain = json.loads(jsonl.encode(manifest)) | {ENVELOPE: dict(stored)}  # the same values that a reader will get
    plain[ENVELOPE]["sha256"] = _hash(plain)
    return json.dumps(plain, indent=1, ensure_ascii=False).encode()  # unsorted: the order of labels has a meaning


def _unsealed(content: bytes, what: str) -> tuple[dict[str, Any], _Envelope]:
    """Manifest and envelope. Raises ``DamagedError``, and ``NewerError`` for an undamaged one of a newer schema."""
    try:
        plain = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise DamagedError("is no JSON" if content else "is empty") from None
    if not isinstance(plain, dict):
        raise DamagedError("holds no fields")
    if ENVELOPE not in plain:
        if any(isinstance(value, dict) and value.keys() >= {"schema", "sha256"} for value in plain.values()):
            raise DamagedError("is not as it was written")  # an envelope whose name is damaged
        return plain, _Envelope()
    stored = plain[ENVELOPE]
    if not isinstance(stored, dict):
        raise DamagedError("is not as it was written")
    seal = stored.pop("sha256", None)
    schema = stored.get("schema")
    if seal is not None and seal != _hash(plain):
        raise DamagedError("is not as it was written")
    if is_version(schema):
        check_version(what, schema, SCHEMA, "use another SYNTHGAP_STORE")
    if seal is None or not is_version(schema):
        raise DamagedError("is not as it was written")
    del plain[ENVELOPE]
    return plain, jsonl.from_value(stored, _Envelope)


def _hash(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


@functools.cache
def _say_damaged(url: str, artifact: str, why: str) -> None:
    """Warn once in each process, however often the artifact is read."""
    LOGGER.warning("%s in the store %r is damaged (%s): it is ignored and made again", artifact, url, why)


def _changed(facts: Mapping[str, Any]) -> float:
    """When a file was last changed, in seconds since 1970; 0 if the store does not tell. Each kind of store has its own
    name for this field.
    """
    for name in ("mtime", "LastModified", "updated", "last_modified", "created"):
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return 0.0
