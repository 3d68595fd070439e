"""Rotation of the services' logs: each has a file of limited size and the previous one (``worker.log.1``).

A service keeps its log open. So a log that is too large is copied and then emptied. Because the service appends, it
continues at the start of the empty file.
"""

import shutil
from pathlib import Path

LARGEST = 10 * 2**20
"""Bytes after which a log is rotated."""


def put_aside(path: Path) -> None:
    """Rename the log of the previous start, so that a new one can be written."""
    if path.exists():
        path.replace(_previous(path))


def rotate(path: Path, largest: int = LARGEST) -> bool:
    """Copy a log that is larger than ``largest`` bytes and empty it; returns whether it was larger.

    Lines that the service writes between the two steps are lost, usually none.
    """
    if not path.exists() or path.stat().st_size <= largest:
        return False
    shutil.copyfile(path, _previous(path))
    with path.open("r+b") as log:
        log.truncate()
    return True


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
