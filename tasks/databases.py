"""Empty databases of Prefect and MLflow, made once where synthgap is installed.

Each library begins a database by all migrations that it ever had, one after the other: together six seconds of CPU of
the first run in a home. A copy of a database that went through the same migrations takes none. Where there is no copy
for the installed version, the libraries begin their databases themselves, as they do for any other kind than SQLite.

    python -m tasks.databases
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from importlib import metadata
from pathlib import Path

from tasks.files import replacing, sync

FOLDER = Path(sys.prefix) / "share" / "synthgap" / "databases"
MAKERS: Mapping[str, Sequence[str]] = {
    "prefect": ("prefect", "server", "database", "upgrade", "--yes"),
    "mlflow": ("mlflow", "db", "upgrade", "sqlite:///mlflow.db"),
}
"""The module and its arguments that migrate ``<package>.db`` in the present folder, which is also ``PREFECT_HOME``."""


def prepared(package: str, folder: Path = FOLDER) -> Path:
    """Where the empty database of the installed version of a package is, if it was made."""
    return folder / f"{package}-{metadata.version(package)}.db"


def begin(package: str, database: Path, folder: Path = FOLDER) -> bool:
    """Begin a database as a copy of the empty one; whether there is nothing left to migrate.

    One that exists stays as it is. Where a copy cannot be written, the package is left to say why.
    """
    empty = prepared(package, folder)
    if not empty.is_file():
        return False
    if not database.exists():
        draft = database.with_name(f"{database.name}.{uuid.uuid4().hex}")
        with suppress(OSError):
            try:
                database.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(empty, draft)
                sync(draft)
                os.link(draft, database)  # unlike a replacement, it never takes away what another process has begun
                sync(database.parent)
            finally:
                draft.unlink(missing_ok=True)
    return revision(database) == revision(empty)


def revision(database: Path) -> str | None:
    """The last migration that a database went through; null where it went through none, or cannot be read."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            found = opened.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:  # damaged, or locked: whoever uses it will say so
        return None
    return str(found[0][0]) if len(found) == 1 else None


def make(package: str, folder: Path = FOLDER) -> Path:
    """Make the empty database of the installed version by the package's own command; its path.

    Raises ``subprocess.CalledProcessError`` when that fails.
    """
    empty = prepared(package, folder)
    empty.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        others = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        command = [sys.executable, "-m", *MAKERS[package]]
        subprocess.run(command, cwd=place, env={**others, "PREFECT_HOME": place}, check=True, capture_output=True)
        with closing(sqlite3.connect(Path(place) / f"{package}.db")) as made, replacing(empty) as draft:
            made.execute("VACUUM INTO ?", (str(draft),))  # one file, with what is still in a log beside it
    return empty


def main() -> None:
    """Make them all."""
    for package in MAKERS:
        print(make(package))


if __name__ == "__main__":
    main()
