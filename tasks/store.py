"""Content-addressed artifacts on any fsspec URL: same key, same artifact, never written twice.

An artifact is a folder ``<kind>/<key>/`` whose ``manifest.json`` is written last: without it the artifact does not
exist, so a run that is killed while writing leaves nothing that looks finished. Nothing that a listing once said is
remembered: other processes and machines write to the same place.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from tasks.errors import RunError, without_password

MANIFEST = "manifest.json"
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}
"""Have no folders to make, and replace a whole object or nothing."""


class Store:
    """Artifacts below one fsspec URL (``./folder``, ``s3://bucket/prefix``, ``gs://bucket``, ``memory://x``).

    Credentials and endpoints come from the environment, as the library behind the URL reads them. All methods raise
    ``RunError`` when the store cannot be reached or refuses.
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

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The manifest of a finished artifact, or null when there is none."""
        try:
            content = self.file(kind, key, MANIFEST)
        except FileNotFoundError:
            return None
        with self._clear_errors(f"read {kind}/{key} from"):
            manifest: dict[str, Any] = json.loads(content)
            return manifest

    def put(self, kind: str, key: str, manifest: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> None:
        """Write an artifact's files, then its manifest."""
        text = json.dumps(manifest, indent=1, ensure_ascii=False)  # the order of labels has a meaning
        with self._clear_errors(f"write {kind}/{key} to"):
            for name, content in (files or {}).items():
                self._write(self._path(kind, key, name), content)
            self._write(self._path(kind, key, MANIFEST), text.encode())

    def file(self, kind: str, key: str, name: str) -> bytes:
        """One file of an artifact. Raises ``FileNotFoundError`` when it is not there."""
        with self._clear_errors(f"read {kind}/{key} from", FileNotFoundError):
            content: bytes = self.fs.cat_file(self._path(kind, key, name))
            return content

    def keys(self, kind: str) -> list[str]:
        """Keys of all finished artifacts of a kind, sorted."""
        with self._clear_errors(f"list {kind} of"):
            found = self.fs.find(f"{self.root}/{kind}")  # one listing; a glob would ask an object store for each folder
        return sorted(path.split("/")[-2] for path in found if path.endswith(f"/{MANIFEST}"))

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

    def use(self, kind: str, key: str) -> dict[str, Any] | None:
        """Like ``get``, and note on a local disk that the artifact is in use, so that pruning leaves it alone.

        An object store cannot do that: there an artifact is as old as its writing.
        """
        manifest = self.get(kind, key)
        if manifest is not None and self._local:
            with contextlib.suppress(OSError):  # a store that others own may be used all the same
                os.utime(self._path(kind, key, MANIFEST))
        return manifest

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

    def _path(self, kind: str, key: str, name: str) -> str:
        return f"{self.root}/{kind}/{key}/{name}"

    def _write(self, path: str, content: bytes) -> None:
        if self._folders:  # elsewhere it would create a bucket whose name is misspelt
            self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        if not self._local:
            self.fs.pipe_file(path, content)
            return
        draft = Path(f"{path}.{uuid.uuid4().hex}")
        try:
            draft.write_bytes(content)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def _changed(facts: Mapping[str, Any]) -> float:
    """When a file was last changed, as its kind of store names that, in seconds since 1970; 0 where it does not say."""
    for name in ("mtime", "LastModified", "updated", "last_modified", "created"):
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return 0.0
