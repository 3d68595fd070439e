"""Synthetic rows that somebody else made, read by the same rules as real ones and checked against their task."""

from pathlib import Path

from tasks.config import Columns, HubSource, ImportConfig, TaskConfig, TextColumns
from tasks.data.sources.files import read_one
from tasks.data.sources.hub import read_split
from tasks.errors import UserError
from tasks.records import Example, count_labels


def read_import(item: ImportConfig, task: TaskConfig) -> tuple[Example, ...]:
    """All rows of an import in their own order, texts stripped and otherwise as they stand.

    Raises ``UserError`` for a file or column that is not there, a label that the task does not have and one that has
    no row, ``RunError`` when the hub is out of reach.
    """
    where = f"import {item.name!r} of task {task.name!r}"
    try:
        rows, _ = _read(item, task)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    for number, row in enumerate(rows, start=1):
        if row.label not in task.labels:
            raise UserError(
                f"{where}: unknown label {row.label!r} in row {number}. Allowed: {', '.join(task.labels)} "
                "(map it with label_map)"
            )
    missing = [label for label, n in count_labels(rows, task.labels).items() if not n]
    if missing:
        raise UserError(f"{where}: no row of label {', '.join(map(repr, missing))}; a classifier needs rows of each")
    return tuple(Example(row.text.strip(), row.label) for row in rows)


def _read(item: ImportConfig, task: TaskConfig) -> tuple[list[Example], list[str]]:
    columns = {name: getattr(item, name) for name in TextColumns.model_fields}
    if item.file is not None:
        return read_one(Path(item.file), Columns(**columns))
    hub = HubSource(kind="hub", path=str(item.path), config=item.config, revision=item.revision, **columns)
    return read_split(hub, item.split, task.name)
