"""What every source hands on: examples as they were found, before cleaning, and how it would not be there.

Column mapping lives here too, so that a CSV, a Parquet file and a hub data set are read by the same rules.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.config import Columns
from tasks.errors import RunError, UserError
from tasks.records import Example


class UnavailableError(RunError):
    """A source cannot be had here (no network, no wheel); another one of the task may be."""


@dataclass(frozen=True)
class Reading:
    """Rows of one source in its own order. ``test`` is null where the source has no test split of its own."""

    train: list[Example]
    test: list[Example] | None
    source: str
    """What was read, for people."""
    notes: tuple[str, ...] = ()
    """What a reader of results should know: rows left out, an unpinned revision."""
    train_name: str = "the training rows"
    """Names the training rows in messages."""
    test_name: str = "the test rows"


def to_examples(
    rows: Iterable[Mapping[str, Any]], spec: Columns, where: str, names: Sequence[str] = ()
) -> tuple[list[Example], int]:
    """Rows as examples, and how many were left out because their labels do not come to one name.

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
    """Raise ``UserError`` when a column that ``spec`` names is not among those found."""
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
    """The label's name; null for a row to be left out, an empty string where there is no label."""
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
