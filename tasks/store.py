"""Content-addressed artifacts on any fsspec URL: same key, same artifact, never written twice.

An artifact is a folder ``<kind>/<key>/`` whose ``manifest.json`` is written last: without it the artifact does not
exist, so a run that is killed while writing leaves nothing that looks finished. The manifest has the sizes and hashes
of the artifact's files and one of itself. What is damaged counts as absent, is said once, and is made again. Nothing
that a listing once said is remembered: other processes and machines write to the same place.
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
"""Version of what is stored, in every manifest. 0 had neither versions nor hashes. Raised when an older synthgap would
misread a manifest or the records in a file."""
MANIFEST = "manifest.json"
ENVELOPE = "stored"
"""Field of a manifest that the store keeps for itself."""
WRITABLE = ".writable"
"""File that is written to see whether a store can be."""
READS, PAUSE_S = 3, 0.1
"""Times that a file is read until it counts as damaged, and seconds between them: it may be written at the moment."""
PART = 8 * 2**20
"""Bytes of a file that are read, and hashed or sent, at once."""
AT_ONCE = 500
"""Manifests that are read at once; bounds memory."""
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}
"""Have no folders to make, and replace a whole object or nothing."""


@dataclass(frozen=True, slots=True)
class _File:
    """What a file of an artifact was when it was written."""

    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "_File":
        return cls(len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def copied(cls, parts: Iterable[bytes], target: IO[bytes] | None = None) -> "_File":
        """What comes in parts, which are written to ``target``."""
        size, digest = 0, hashlib.sha256()
        for part in parts:
            size += len(part)
            digest.update(part)
            if target is not None:
                target.write(part)
        return cls(size, digest.hexdigest())


@dataclass(frozen=True)
class _Envelope:
    """What the store says of an artifact."""

    schema: int = 0
    files: Mapping[str, _File] | None = field(default=None)
    """Null where nothing is known of them (schema 0)."""

    def describes(self, name: str, found: _File) -> bool:
        """Whether a file is as it was written."""
        return self.files is None or self.files.get(name) == found


class Store:
    """Artifacts below one fsspec URL (``./folder``, ``s3://bucket/prefix``, ``gs://bucket``, ``memory://x``).

    Credentials and endpoints come from the environment, as the library behind the URL reads them. All methods raise
    ``RunError`` when the store cannot be reached or refuses, and for an artifact that a newer synthgap wrote.
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
        """Two of one place are the same: what is read from one is what the other holds."""
        return isinstance(other, Store) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The manifest of a finished artifact, or null when there is none. Its files are not looked at."""
        try:
            return self._open(kind, key)[0]
        except FileNotFoundError:
            return None

    def record(self, kind: str, key: str, of: type[T]) -> T | None:
        """The manifest of a finished artifact as a record, or null when there is none."""
        manifest = self.get(kind, key)
        if manifest is None:
            return None
        try:
            return jsonl.from_value(manifest, of)
        except DamagedError as error:
            self.damaged(kind, key, f"{MANIFEST}: {error}")
            return None

    def finished(self, kind: str, keys: Iterable[str]) -> set[str]:
        """Those of the keys that have a finished artifact. Files are not looked at.

        Manifests are read many at once where the store can do that: an object store takes its time for each.
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

        A file is bytes, or records that become JSON lines, one after the other; a record that is bytes is such a line.
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
        """One file of a finished artifact. Raises ``FileNotFoundError`` when it is not there, or not as written."""
        with self._whole(kind, key, name) as file:
            return file.read()

    def as_it_stands(self, kind: str, key: str, name: str) -> bytes | None:
        """One file of an artifact, finished and undamaged or not; null where it is not there."""
        return self._read(kind, key, name)

    def rows(self, kind: str, key: str, name: str, of: type[T]) -> tuple[T, ...]:
        """The records in a file of a finished artifact. Raises ``FileNotFoundError`` like ``file``."""
        return tuple(self.each_row(kind, key, name, of))

    def each_row(self, kind: str, key: str, name: str, of: type[T]) -> Iterator[T]:
        """The same one by one, for files larger than the memory; raises when the first is asked for, and later where
        a line holds no record.
        """
        with self._whole(kind, key, name) as file:
            try:
                yield from jsonl.from_lines(file, of)
            except DamagedError as error:
                raise self.damaged(kind, key, f"{name}: {error}") from None

    def verified(self, kind: str, key: str) -> bool:
        """Whether an artifact is finished and all of its files are as they were written; false where nothing tells."""
        try:
            _, stored = self._open(kind, key)
            if stored.files is None:
                return False
            for name in stored.files:
                with self._whole(kind, key, name):
                    pass
        except FileNotFoundError:
            return False
        return True

    def digest(self, kind: str, key: str) -> str | None:
        """A hash of what a finished artifact holds, its files included; null where it is absent or damaged."""
        try:
            manifest, stored = self._open(kind, key)
            for name in stored.files or ():
                with self._whole(kind, key, name):
                    pass
        except FileNotFoundError:
            return None
        return _hash([manifest, asdict(stored)])

    def damaged(self, kind: str, key: str, why: str) -> FileNotFoundError:
        """Say that an artifact counts as absent, because it is not as it was written; the error that means that."""
        _say_damaged(self.url, f"{kind}/{key}", why)
        return FileNotFoundError(f"{kind}/{key} in the store {self.url!r} is damaged: {why}")

    def keys(self, kind: str) -> list[str]:
        """Keys of all finished artifacts of a kind, sorted."""
        with self._clear_errors(f"list {kind} of"):
            found = self.fs.find(f"{self.root}/{kind}")  # one listing; a glob would ask an object store for each folder
        return sorted(path.split("/")[-2] for path in found if path.endswith(f"/{MANIFEST}"))

    def past(self, kind: str, of: type[T], most: int | None = None) -> Iterator[T]:
        """Manifests of a kind that can be read, at most so many: for estimates, which need not know all."""
        for key in self.keys(kind)[-most if most else None :]:
            with contextlib.suppress(NewerError):
                if (found := self.record(kind, key, of)) is not None:
                    yield found

    def check_writable(self) -> None:
        """Raise ``RunError`` when nothing can be written: to be asked before anything is paid for."""
        path = f"{self.root}/{WRITABLE}"
        with self._clear_errors("write to"):
            self._write(path, bytes(PROBE))
        with contextlib.suppress(Exception):  # whoever may write need not be allowed to delete
            self.fs.rm_file(path)

    def listing(self) -> list[tuple[str, str, int, float]]:
        """Kind, key, bytes and time of the last change (seconds since 1970) of all artifacts, unfinished ones too."""
        sizes: dict[tuple[str, str], tuple[int, float]] = {}
        with self._clear_errors("list"):
            for path, facts in self.fs.find(self.root, detail=True).items():
                kind, key, *file = path.removeprefix(self.root).strip("/").split("/")
                if file:
                    size, changed = sizes.get((kind, key), (0, 0.0))
                    sizes[kind, key] = size + int(facts["size"] or 0), max(changed, _changed(facts))
        return [(kind, key, size, changed) for (kind, key), (size, changed) in sorted(sizes.items())]

    def delete(self, kind: str, key: str) -> None:
        """Remove an artifact, its manifest first: one that is half removed does not exist."""
        with self._clear_errors(f"remove {kind}/{key} from"):
            if self.fs.exists(manifest := self._path(kind, key, MANIFEST)):
                self.fs.rm_file(manifest)
            if self.fs.exists(folder := f"{self.root}/{kind}/{key}"):
                self.fs.rm(folder, recursive=True)

    def has_manifest(self, kind: str, key: str) -> bool:
        """Whether an artifact has a manifest, be it damaged."""
        with self._clear_errors(f"read {kind}/{key} from"):
            return bool(self.fs.exists(self._path(kind, key, MANIFEST)))

    def touch(self, kind: str, key: str) -> None:
        """Note on a local disk that an artifact is in use, so that pruning leaves it alone.

        An object store cannot do that: there an artifact is as old as its writing.
        """
        if self._local:
            with contextlib.suppress(OSError):  # a store that others own may be used all the same
                os.utime(self._path(kind, key, MANIFEST))

    @contextmanager
    def _clear_errors(self, doing: str, *passed: type[Exception]) -> Iterator[None]:
        """Every kind of store has exceptions of its own; ``passed`` are those that mean something to the caller."""
        try:
            yield
        except passed:
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise RunError(f"cannot {doing} the store {self.url!r}: {lines[0]}") from error

    def _open(self, kind: str, key: str) -> tuple[dict[str, Any], _Envelope]:
        """Manifest and envelope. Raises ``FileNotFoundError`` where there is none, and for a damaged one."""
        content = self._read(kind, key, MANIFEST)
        if content is None:
            raise FileNotFoundError(f"there is no {kind}/{key}")
        return self._opened(kind, key, content)

    def _opened(self, kind: str, key: str, content: bytes) -> tuple[dict[str, Any], _Envelope]:
        """A manifest's content as ``_open`` gives it. Raises ``FileNotFoundError`` for a damaged one."""
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
        """A file of a finished artifact, found to be as it was written. Raises ``FileNotFoundError`` like ``file``."""
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
        """A file of an artifact, or a copy of one that lies on another machine; null where there is none."""
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
        """Write a file that need not fit into memory. On another machine it begins when all of its parts are there."""
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
        if self._folders:  # elsewhere it would create a bucket whose name is misspelt
            self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self.fs.pipe_file(path, content)


@contextmanager
def needed() -> Iterator[None]:
    """Turn an artifact that is absent or damaged, where a study has it already, into one ``RunError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{error}; run the study again: what its journals hold costs nothing") from None


def check_places(settings: Settings) -> None:
    """Raise ``RunError`` when the home, its journals or the store cannot be written: before anything is paid for."""
    settings.check_home()
    probe = settings.home / "journals" / WRITABLE
    with writing("journals in", probe.parent):
        make_folder(probe.parent)
        replace_file(probe, bytes(PROBE))
        probe.unlink(missing_ok=True)  # another run that starts at the same moment may have removed it
    Store(settings.store_url).check_writable()


def _sealed(manifest: object, stored: Mapping[str, Any]) -> bytes:
    """A manifest as it is written: with the envelope, and in that a hash of all the rest."""
    plain = json.loads(jsonl.encode(manifest)) | {ENVELOPE: dict(stored)}  # as it is read again
    plain[ENVELOPE]["sha256"] = _hash(plain)
    return json.dumps(plain, indent=1, ensure_ascii=False).encode()  # unsorted: the order of labels has a meaning


def _unsealed(content: bytes, what: str) -> tuple[dict[str, Any], _Envelope]:
    """Manifest and envelope. Raises ``DamagedError``, and ``NewerError`` for a whole one of a newer schema."""
    try:
        plain = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise DamagedError("is no JSON" if content else "is empty") from None
    if not isinstance(plain, dict):
        raise DamagedError("holds no fields")
    if ENVELOPE not in plain:
        if any(isinstance(value, dict) and value.keys() >= {"schema", "sha256"} for value in plain.values()):
            raise DamagedError("is not as it was written")  # an envelope, under a name that damage has changed
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
    """Once a process, however often it is looked at."""
    LOGGER.warning("%s in the store %r is damaged (%s): it is ignored and made again", artifact, url, why)


def _changed(facts: Mapping[str, Any]) -> float:
    """When a file was last changed, as its kind of store names that, in seconds since 1970; 0 where it does not say."""
    for name in ("mtime", "LastModified", "updated", "last_modified", "created"):
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return 0.0
