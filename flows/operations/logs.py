"""Logs of the services: a file each that stays below a size, and the one before it (``worker.log.1``).

The services write to an open file that they never open again, so a log that is too large is copied and emptied in its
place; they append, so that what follows begins at the new start.
"""

import shutil
from pathlib import Path

LARGEST = 10 * 2**20
"""Bytes of a log after which it is put aside."""


def put_aside(path: Path) -> None:
    """Keep the log of the last start beside the one that is about to begin."""
    if path.exists():
        path.replace(_before(path))


def rotate(path: Path, largest: int = LARGEST) -> bool:
    """Put a log aside that is larger than ``largest`` bytes and empty it; whether it was.

    What a service writes between the copy and the emptying is lost, a line at most.
    """
    if not path.exists() or path.stat().st_size <= largest:
        return False
    shutil.copyfile(path, _before(path))
    with path.open("r+b") as log:
        log.truncate()
    return True


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
