"""Content-addressed artifacts on any fsspec URL: same key, same artifact, never written twice.

An artifact is a folder ``<kind>/<key>/`` whose ``manifest.json`` is written last: without it the artifact does not
exist, so a run that is killed while writing leaves nothing that looks finished.
"""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec

from tasks.errors import RunError

MANIFEST = "manifest.json"


class Store:
    """Artifacts below one fsspec URL (``./folder``, ``s3://bucket/prefix``, ``memory://x``)."""

    def __init__(self, url: str) -> None:
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise RunError(f"cannot open the store {url!r}: {error}") from None
        self.url = url
        self._local = "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The manifest of a finished artifact, or null when there is none."""
        try:
            manifest: dict[str, Any] = json.loads(self.fs.cat_file(self._path(kind, key, MANIFEST)))
        except FileNotFoundError:
            return None
        return manifest

    def put(self, kind: str, key: str, manifest: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> None:
        """Write an artifact's files, then its manifest. Raises ``RunError`` when the store cannot be written."""
        try:
            for name, content in (files or {}).items():
                self._write(self._path(kind, key, name), content)
            text = json.dumps(manifest, indent=1, ensure_ascii=False)  # the order of labels has a meaning
            self._write(self._path(kind, key, MANIFEST), text.encode())
        except OSError as error:
            raise RunError(f"cannot write {kind}/{key} to the store {self.url!r}: {error}") from error

    def file(self, kind: str, key: str, name: str) -> bytes:
        """One file of an artifact. Raises ``FileNotFoundError`` when it is not there."""
        content: bytes = self.fs.cat_file(self._path(kind, key, name))
        return content

    def keys(self, kind: str) -> list[str]:
        """Keys of all finished artifacts of a kind, sorted."""
        found = self.fs.glob(self._path(kind, "*", MANIFEST))
        return sorted(path.split("/")[-2] for path in found)

    def _path(self, kind: str, key: str, name: str) -> str:
        return f"{self.root}/{kind}/{key}/{name}"

    def _write(self, path: str, content: bytes) -> None:
        self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        if not self._local:  # object stores replace a whole object or nothing
            self.fs.pipe_file(path, content)
            return
        draft = Path(f"{path}.{uuid.uuid4().hex}")
        try:
            draft.write_bytes(content)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
