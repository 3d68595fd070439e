"""Human judgements of tasks, from a CSV file of the user."""

import csv
from collections.abc import Collection
from pathlib import Path

from tasks.errors import UserError, unknown
from tasks.records import Judgement

COLUMNS = ("judge", "objective", "subjective")


def read_judgements(path: Path, tasks: Collection[str]) -> tuple[Judgement, ...]:
    """The judgements in a CSV with columns ``judge``, ``objective`` and ``subjective``, one comparison in each row.

    Raises ``UserError`` with the file and the line of a row that cannot be used: a task that is not in ``tasks``, a
    task that is compared with itself, or no judge.
    """
    if path.suffix.lower() != ".csv" or not path.is_file():
        raise UserError(f"cannot read judgements {str(path)!r}: no such file, or not a .csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = list(reader.fieldnames or [])
            if missing := [column for column in COLUMNS if column not in columns]:
                raise UserError(
                    f"judgements {path.name!r}: no column {missing[0]!r}; needed: {', '.join(COLUMNS)}, "
                    f"found: {', '.join(columns) or 'none'}"
                )
            found = tuple(_judgement(row, f"judgements {path.name!r}, line {reader.line_num}", tasks) for row in reader)
    except OSError as error:
        raise UserError(f"cannot read judgements {str(path)!r}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"judgements {path.name!r} cannot be read as CSV in UTF-8: {error}") from None
    if not found:
        raise UserError(f"judgements {path.name!r} has no rows")
    return found


def _judgement(row: dict[str, str | None], where: str, tasks: Collection[str]) -> Judgement:
    judge, objective, subjective = ((row[column] or "").strip() for column in COLUMNS)
    if not judge:
        raise UserError(f"{where}: the column judge is empty")
    for name in (objective, subjective):
        if name not in tasks:
            raise UserError(f"{where}: {unknown('task', name, tasks)}")
    if objective == subjective:
        raise UserError(f"{where}: task {objective!r} is compared with itself")
    return Judgement(judge, objective, subjective)
