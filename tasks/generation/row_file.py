"""Rows of a synthesis under way: on disk, because there may be millions; in memory is only where each begins.

The file has no name and goes with the process that wrote it: rows can be made again from their calls. A few rows never
reach the disk.
"""

import contextlib
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from tasks import jsonl
from tasks.errors import writing
from tasks.records import Row

IN_MEMORY = 4 * 2**20
"""Bytes up to which rows stay in memory."""


def _close(file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # on a full disk, what waits in a buffer cannot be written, and need not be
        file.close()


class RowFile:
    """Rows in the order in which they came.

    ``folder`` is where they lie, null for the system's folder of temporary files, which may itself be in memory;
    ``in_memory`` the bytes up to which they do not reach it.
    """

    def __init__(self, folder: Path | None = None, in_memory: int = IN_MEMORY) -> None:
        self._folder = folder
        place = None if folder is None else str(folder)
        self._file = tempfile.SpooledTemporaryFile(in_memory, dir=place)  # noqa: SIM115  # as long as the rows
        weakref.finalize(self, _close, self._file)
        self._ends = array("Q", [0])

    def append(self, row: Row) -> None:
        """Add a row. Raises ``RunError`` when the disk refuses."""
        line = jsonl.encode(row) + b"\n"
        with self._clear_errors():
            self._file.seek(self._ends[-1])
            self._file.write(line)
        self._ends.append(self._ends[-1] + len(line))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> Row:
        return jsonl.from_line(self._line(number), Row)

    def __iter__(self) -> Iterator[Row]:
        return (self[number] for number in range(len(self)))

    def lines(self) -> Iterator[bytes]:
        """The rows as JSON lines, each with its end."""
        return map(self._line, range(len(self)))

    def _line(self, number: int) -> bytes:
        with self._clear_errors():  # what waits in a buffer is written before anything is read
            self._file.seek(self._ends[number])
            return self._file.read(self._ends[number + 1] - self._ends[number])

    def _clear_errors(self) -> AbstractContextManager[None]:
        return writing("filtered rows to", self._folder or Path(tempfile.gettempdir()))
