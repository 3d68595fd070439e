"""Tables from files: CSV, TSV, JSON Lines and Parquet as columns and rows, with messages that name the wrong row."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tasks.errors import UserError

DELIMITERS = (",", ";", "\t")


class Table(NamedTuple):
    """Columns in order of appearance, and rows as mappings of them."""

    columns: list[str]
    rows: list[dict[str, Any]]


def read_table(path: Path) -> Table:
    """All rows of a file, by its ending. Raises ``UserError`` if it is missing, malformed, empty or not UTF-8."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"cannot tell the format of {str(path)!r} by its ending. Allowed: {', '.join(sorted(READERS))}")
    if not path.is_file():
        raise UserError(f"no such file: {str(path)!r}")
    table = reader(path)
    if not table.rows:
        raise UserError(f"{str(path)!r} has no rows")
    return table


def decode(content: bytes, name: str) -> str:
    """UTF-8 text, without a byte order mark. Raises ``UserError`` with the byte and line that are not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{error.object[error.start]:02x}"
        raise UserError(f"{name!r} is not UTF-8: byte {byte} in line {line}; save it as UTF-8") from None


def parse_csv(text: str, name: str, delimiter: str = "") -> Table:
    """Rows of a CSV whose first line names the columns. The delimiter is the most frequent of , ; and tab in it."""
    header_line = text.partition("\n")[0]
    records = _records(text, name, delimiter or max(DELIMITERS, key=header_line.count))
    line, columns = next(records, (1, []))
    columns = [column.strip() for column in columns]
    if len(set(columns)) < len(columns) or not all(columns[1:]):  # a table's index often has no name
        raise UserError(
            f"{name!r}: the header must name each column, each name once. Found: {', '.join(map(repr, columns))}"
        )
    rows: list[dict[str, Any]] = []
    for line, record in records:
        if len(record) != len(columns):
            raise UserError(
                f"{name!r}: row {len(rows) + 1} (line {line}) has {len(record)} fields, the header has {len(columns)}"
            )
        rows.append(dict(zip(columns, record, strict=True)))
    return Table(columns, rows)


def _records(text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Non-blank records, each with its first line."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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
    return parse_csv(decode(_bytes(path), str(path)), str(path), "\t" if path.suffix.lower() == ".tsv" else "")


def _read_jsonl(path: Path) -> Table:
    columns: dict[str, None] = {}
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            where = f"line {number}, column {error.colno}"
            raise UserError(f"{str(path)!r} is not valid JSON Lines at {where}: {error.msg}") from None
        if not isinstance(row, dict):
            raise UserError(f"{str(path)!r}: line {number} must hold an object, not {type(row).__name__}")
        if "\\ud" in line.lower() and not _encodable(row):
            raise UserError(f"{str(path)!r}: line {number} contains an invalid character (a lone surrogate); remove it")
        row = {sys.intern(column): value for column, value in row.items()}  # a name a row would take more than its text
        columns.update(dict.fromkeys(row))
        rows.append(row)
    return Table(list(columns), rows)


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{str(path)!r} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
    return Table(table.column_names, table.to_pylist())


def _encodable(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file without their ends, one by one. Raises ``UserError`` like ``decode``."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                yield line.removesuffix(b"\n").decode("utf-8" if number else "utf-8-sig")
    except UnicodeDecodeError:
        decode(_bytes(path), str(path))  # says where in the file
        raise
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
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
