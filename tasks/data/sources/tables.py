"""Tables from files: CSV, TSV, JSON Lines and Parquet as columns and rows, with messages that name the wrong row.

Rows are read one by one, because a file may have millions.
"""

import csv
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tasks.errors import UserError

DELIMITERS = (",", ";", "\t")


class Table(NamedTuple):
    """Columns in order of appearance, and rows as mappings of them, which can be read once."""

    columns: list[str]
    """Complete when all rows were read: JSON Lines name columns in each row."""
    rows: Iterator[dict[str, Any]]


def read_table(path: Path) -> Table:
    """The rows of a file, by its ending.

    Raises ``UserError`` if it is missing, malformed, empty or not UTF-8: some of that only when the row is read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"cannot tell the format of {str(path)!r} by its ending. Allowed: {', '.join(sorted(READERS))}")
    if not path.is_file():
        raise UserError(f"no such file: {str(path)!r}")
    table = reader(path)
    return Table(table.columns, _not_empty(table.rows, path))


def read_columns(path: Path) -> list[str]:
    """The columns of a file, all rows of which are read. Raises like ``read_table``."""
    table = read_table(path)
    deque(table.rows, maxlen=0)
    return table.columns


def _not_empty(rows: Iterator[dict[str, Any]], path: Path) -> Iterator[dict[str, Any]]:
    first = next(rows, None)
    if first is None:
        raise UserError(f"{str(path)!r} has no rows")
    yield first
    yield from rows


def decode(content: bytes, name: str) -> str:
    """UTF-8 text, without a byte order mark. Raises ``UserError`` with the byte and line that are not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{error.object[error.start]:02x}"
        raise UserError(f"{name!r} is not UTF-8: byte {byte} in line {line}; save it as UTF-8") from None


def parse_csv(lines: Iterable[str], name: str, delimiter: str = "") -> Table:
    """Rows of a CSV whose first line names the columns. The delimiter is the most frequent of , ; and tab in it.

    ``lines`` have their ends as the file has them.
    """
    lines = iter(lines)
    first = next(lines, "")
    records = _records(itertools.chain([first], lines), name, delimiter or max(DELIMITERS, key=first.count))
    _, columns = next(records, (1, []))
    columns = [column.strip() for column in columns]
    if len(set(columns)) < len(columns) or not all(columns[1:]):  # a table's index often has no name
        raise UserError(
            f"{name!r}: the header must name each column, each name once. Found: {', '.join(map(repr, columns))}"
        )
    return Table(columns, _rows(records, columns, name))


def _rows(records: Iterator[tuple[int, list[str]]], columns: list[str], name: str) -> Iterator[dict[str, Any]]:
    for number, (line, record) in enumerate(records, start=1):
        if len(record) != len(columns):
            raise UserError(
                f"{name!r}: row {number} (line {line}) has {len(record)} fields, the header has {len(columns)}"
            )
        yield dict(zip(columns, record, strict=True))


def _records(lines: Iterable[str], name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Non-blank records, each with its first line."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 1
    try:
        for record in reader:
            if record:
                yield start, record
            start = reader.line_num + 1
    except csv.Error as error:
        hint = "; is a quote left open?" if "end of data" in str(error) else ""
        raise UserError(f"{name!r} is not valid CSV: {error} in the row that starts at line {start}{hint}") from None


def _read_csv(path: Path) -> Table:
    return parse_csv(_lines(path, ""), str(path), "\t" if path.suffix.lower() == ".tsv" else "")


def _read_jsonl(path: Path) -> Table:
    columns: list[str] = []
    return Table(columns, _objects(path, columns))


def _objects(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The objects in a JSON Lines file, whose names are added to ``columns``."""
    known = set(columns)
    for number, line in enumerate(_lines(path, "\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.removesuffix("\n"))
        except json.JSONDecodeError as error:
            where = f"line {number}, column {error.colno}"
            raise UserError(f"{str(path)!r} is not valid JSON Lines at {where}: {error.msg}") from None
        if not isinstance(row, dict):
            raise UserError(f"{str(path)!r}: line {number} must hold an object, not {type(row).__name__}")
        if "\\ud" in line.lower() and not _encodable(row):
            raise UserError(f"{str(path)!r}: line {number} contains an invalid character (a lone surrogate); remove it")
        new = [column for column in row if column not in known]
        known.update(new)
        columns += new
        yield row


def _read_parquet(path: Path) -> Table:
    import pyarrow.parquet as pq

    with _readable_parquet(path):
        file = pq.ParquetFile(path)
    return Table(file.schema_arrow.names, _batches(path, file))


def _batches(path: Path, file: Any) -> Iterator[dict[str, Any]]:
    batches = file.iter_batches()
    while True:
        with _readable_parquet(path):
            if (batch := next(batches, None)) is None:
                return
            rows = batch.to_pylist()
        yield from rows


@contextmanager
def _readable_parquet(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{str(path)!r} is not a readable Parquet file: {str(error).splitlines()[0]}") from None


def _encodable(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _lines(path: Path, newline: str) -> Iterator[str]:
    """The lines of a file with their ends as they stand, one by one; ``newline`` is that of ``open``.

    Raises ``UserError`` like ``decode``.
    """
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield from file
    except UnicodeDecodeError:
        decode(path.read_bytes(), str(path))  # says where in the file
        raise
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from None


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}
"""File ending to reader."""
