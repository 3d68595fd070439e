"""What all sources share: examples before cleaning, the error of a source that is not available, and column mapping.

CSV files, Parquet files and hub data sets are therefore read by the same rules.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.config import Columns
from tasks.errors import RunError, UserError
from tasks.records import Example


class UnavailableError(RunError):
    """A source is not available here (no network, no wheel); another source of the task may be."""


@dataclass(frozen=True)
class Reading:
    """Rows of one source in its own order. ``test`` is null if the source has no test split."""

    train: list[Example]
    test: list[Example] | None
    source: str
    """What was read, for people."""
    notes: tuple[str, ...] = ()
    """Notes for readers of results: rows that were left out, a revision that is not pinned."""
    train_name: str = "the training rows"
    """Name of the training rows in messages."""
    test_name: str = "the test rows"


def to_examples(
    rows: Iterable[Mapping[str, Any]], spec: Columns, where: str, names: Sequence[str] = ()
) -> tuple[list[Example], int]:
    """Rows as examples, and the number of rows that were left out because they do not have exactly one label.

    ``names`` are the names of a class label, by its number. Raises ``UserError`` for an agreement outside 0 to 1.
    """
    examples, left_out = [], 0
    for number, row in enumerate(rows, start=1):
        label = _label(row.get(spec.label), spec, names)
        if label is None:
            left_out += 1
            continue
        agreement = _agreement(row.get(spec.agreement), where, number) if spec.agreement else None
        examples.append(Example(_text(row.get(spec.text)), sys.intern(label), agreement))
    return examples, left_out


def check_columns(found: Sequence[str], spec: Columns, where: str) -> None:
    """Raise ``UserError`` if a column of ``spec`` is not among those found."""
    for role in ("text", "label", "agreement"):
        column = getattr(spec, role)
        if column is not None and column not in found:
            raise UserError(
                f"{where}: no column {column!r} for the {role}. Columns found: {', '.join(found) or 'none'}"
            )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(token) for token in value)
    return "" if value is None else str(value)


def _label(value: Any, spec: Columns, names: Sequence[str]) -> str | None:
    """The label's name; null for a row that is left out, an empty string if there is no label."""
    if isinstance(value, list):
        found = {_label(item, spec, names) for item in value}
        return found.pop() if len(found) == 1 else None
    raw = _raw(value)
    if raw in spec.label_map:
        return spec.label_map[raw]
    if spec.only_mapped:
        return None
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return raw


def _raw(value: Any) -> str:
    """A label as text: 1 and 1.0 are both ``1``, because a missing value elsewhere turns a column into floats."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _agreement(value: Any, where: str, number: int) -> float | None:
    if value is None or value == "":
        return None
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1:
        raise UserError(f"{where}: agreement {value!r} in row {number} is not a number from 0 to 1")
    return share
