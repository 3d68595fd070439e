"""Empty databases of Prefect and MLflow, made once for each installation of synthgap.

Each library creates a database by all its migrations, one after the other. Together that takes six seconds of CPU in
the first run in a home. Copying a migrated empty database takes almost none. If there is no empty database for the
installed version, the libraries create their databases themselves, as they do for databases other than SQLite.

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
"""The module and its arguments that migrate ``<package>.db`` in the current folder, which is also ``PREFECT_HOME``."""


def prepared(package: str, folder: Path = FOLDER) -> Path:
    """Path of the empty database of the installed version of a package, which may not exist."""
    return folder / f"{package}-{metadata.version(package)}.db"


def begin(package: str, database: Path, folder: Path = FOLDER) -> bool:
    """Create a database as a copy of the empty one; returns whether nothing is left to migrate.

    An existing database is not changed. If the copy cannot be written, no error is raised: the package will report it.
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
                os.link(draft, database)  # unlike a rename, this never replaces the database of another process
                sync(database.parent)
            finally:
                draft.unlink(missing_ok=True)
    return revision(database) == revision(empty)


def revision(database: Path) -> str | None:
    """The last migration that was applied to a database; null if there is none or it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            found = opened.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:  # damaged or locked: the package that uses it will report that
        return None
    return str(found[0][0]) if len(found) == 1 else None


def make(package: str, folder: Path = FOLDER) -> Path:
    """Make the empty database of the installed version by the package's own command; returns its path.

    Raises ``subprocess.CalledProcessError`` if the command fails.
    """
    empty = prepared(package, folder)
    empty.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        others = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        command = [sys.executable, "-m", *MAKERS[package]]
        subprocess.run(command, cwd=place, env={**others, "PREFECT_HOME": place}, check=True, capture_output=True)
        with closing(sqlite3.connect(Path(place) / f"{package}.db")) as made, replacing(empty) as draft:
            made.execute("VACUUM INTO ?", (str(draft),))  # includes what is still in the write-ahead log
    return empty


def main() -> None:
    """Make all empty databases and print their paths."""
    for package in MAKERS:
        print(make(package))


if __name__ == "__main__":
    main()
