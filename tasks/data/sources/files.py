"""The user's own files, named in a task YAML."""

from pathlib import Path

from tasks.config import Columns, FileSource
from tasks.data.sources.reading import Reading, check_columns, to_examples
from tasks.data.sources.tables import read_table
from tasks.records import Example


def read_files(source: FileSource) -> Reading:
    """Rows of a ``FileSource`` whose paths are absolute. Raises ``UserError`` if anything in a file is wrong."""
    train, notes = read_one(Path(source.train), source)
    test: list[Example] | None = None
    names = [Path(source.train).name]
    if source.test is not None:
        test, more = read_one(Path(source.test), source)
        names.append(Path(source.test).name)
        notes += more
    return Reading(train, test, "files " + ", ".join(names), tuple(notes), names[0], names[-1])


def read_one(path: Path, spec: Columns) -> tuple[list[Example], list[str]]:
    """The examples of one file, and notes on rows left out."""
    table = read_table(path)
    examples, left_out = to_examples(table.rows, spec, path.name)
    check_columns(table.columns, spec, path.name)  # complete only now
    return examples, [f"{left_out} rows of {path.name} left out by their label"] if left_out else []
