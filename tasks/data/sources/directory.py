"""The data directory: ``<dir>/<task>/{train,test}.csv`` with columns text, label and, where known, agreement."""

from pathlib import Path

from tasks.config import Columns, TaskConfig
from tasks.data.sources.files import read_one
from tasks.data.sources.reading import Reading
from tasks.data.sources.tables import decode
from tasks.errors import UserError
from tasks.settings import Settings


def folder_of(task: TaskConfig, settings: Settings) -> Path | None:
    """The task's folder in the data directory; null if there is none, or if the task has files of its own."""
    if settings.data_dir is None or any(source.kind == "files" for source in task.sources):
        return None
    if not settings.data_dir.is_dir():
        raise UserError(f"SYNTHGAP_DATA_DIR: no such folder: {str(settings.data_dir)!r}")
    folder = settings.data_dir / task.name
    return folder if folder.is_dir() else None


def read_folder(folder: Path) -> Reading:
    """Rows of a task's folder. Raises ``UserError`` if ``train.csv`` is missing or a file is wrong."""
    train, test = folder / "train.csv", folder / "test.csv"
    rows, _ = read_one(train, _columns(train))
    tested = read_one(test, _columns(test))[0] if test.exists() else None
    names = "train.csv, test.csv" if tested is not None else "train.csv"
    return Reading(rows, tested, f"data directory {folder.name}/ ({names})", (), str(train), str(test))


def _columns(path: Path) -> Columns:
    """The fixed columns; agreement only if the header has it."""
    if not path.is_file():
        raise UserError(f"no such file: {str(path)!r}")
    with path.open("rb") as file:
        header = decode(file.readline(), str(path))
    return Columns(agreement="agreement" if "agreement" in header.strip().split(",") else None)
