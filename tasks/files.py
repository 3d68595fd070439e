"""Files that are complete or absent, also after a power cut: draft, fsync, rename, fsync of the folder."""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""Errors of some network file systems for the fsync of a folder; they do not need it."""


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Replace files by new contents, in their order, after all drafts are on disk.

    Raises ``OSError``. No draft is left then; if a draft could not be written, all former files stay.
    """
    drafts = {path: _draft(path) for path in contents}
    try:
        for path, draft in drafts.items():
            with draft.open("wb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
        for path, draft in drafts.items():
            draft.replace(path)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        sync(folder)


def replace_file(path: Path, content: bytes) -> None:
    """Replace one file, as ``replace_files`` does."""
    replace_files({path: content})


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft to write to, which replaces a file when the block ends; for contents that are too large for the memory.

    If the block raises, the former file stays, and no draft is left. Raises ``OSError``.
    """
    draft = _draft(path)
    try:
        yield draft
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}")


def make_folder(folder: Path) -> None:
    """Create a folder and missing folders above it. Raises ``OSError``."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk. Raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        with contextlib.suppress(OSError):
            os.close(handle)
