"""Rows of a synthesis that is being filtered. They are on disk, because there may be millions; memory has only the
position of each row.

The file has no name and is removed when the process ends, because rows can be made again from their calls. A small
number of rows stays in memory and is never written to disk.
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
    with contextlib.suppress(OSError):  # a full disk: the buffered rows cannot be written, and are not needed any more
        file.close()


class RowFile:
    """Rows in the order in which they were added.

    ``folder`` is the folder of the file; null means the system's folder for temporary files, which may itself be in
    memory. Up to ``in_memory`` bytes of rows stay in memory.
    """

    def __init__(self, folder: Path | None = None, in_memory: int = IN_MEMORY) -> None:
        self._folder = folder
        place = None if folder is None else str(folder)
        self._file = tempfile.SpooledTemporaryFile(in_memory, dir=place)  # noqa: SIM115  # as long as the rows
        weakref.finalize(self, _close, self._file)
        self._ends = array("Q", [0])

    def append(self, row: Row) -> None:
        """Add a row. Raises ``RunError`` if it cannot be written."""
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
        with self._clear_errors():  # reading first writes buffered rows, which can fail
            self._file.seek(self._ends[number])
            return self._file.read(self._ends[number + 1] - self._ends[number])

    def _clear_errors(self) -> AbstractContextManager[None]:
        return writing("filtered rows to", self._folder or Path(tempfile.gettempdir()))
