"""Empty databases of other packages: copied where one is missing, and never over one that is there."""

import sqlite3
from contextlib import closing
from importlib import metadata

import pytest

from tasks import databases

PACKAGE = "prefect"


def write(path, revision):
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
        made.execute("INSERT INTO alembic_version VALUES (?)", (revision,))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made").mkdir()
    write(databases.prepared(PACKAGE, tmp_path / "made"), "newest")
    return tmp_path / "made"


def test_a_missing_database_begins_as_a_copy(folder, tmp_path):
    database = tmp_path / "home" / "prefect.db"
    assert databases.begin(PACKAGE, database, folder)
    assert databases.revision(database) == "newest"
    assert list(database.parent.iterdir()) == [database]
    write_again = sqlite3.connect(database)
    write_again.execute("CREATE TABLE flows (name)")
    write_again.close()
    assert databases.begin(PACKAGE, database, folder)
    with closing(sqlite3.connect(database)) as found:
        assert found.execute("SELECT count(*) FROM flows").fetchone() == (0,), "it stays as it is"


def test_a_database_of_another_version_is_left_to_its_package(folder, tmp_path):
    database = tmp_path / "older.db"
    write(database, "older")
    assert not databases.begin(PACKAGE, database, folder)
    assert databases.revision(database) == "older"
    database.write_bytes(b"damaged")
    assert not databases.begin(PACKAGE, database, folder)
    assert database.read_bytes() == b"damaged"


def test_without_a_copy_for_the_installed_version_nothing_is_begun(tmp_path):
    write(tmp_path / "prefect-0.1.db", "newest")
    assert not databases.begin(PACKAGE, tmp_path / "prefect.db", tmp_path)
    assert not (tmp_path / "prefect.db").exists()


def test_a_place_that_cannot_be_written_is_left_to_the_package(folder, tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert not databases.begin(PACKAGE, tmp_path / "file" / "prefect.db", folder)


@pytest.mark.slow
@pytest.mark.parametrize("package", databases.MAKERS)
def test_a_package_makes_its_empty_database(package, tmp_path):
    made = databases.make(package, tmp_path / "made")
    assert made.name == f"{package}-{metadata.version(package)}.db"
    assert list(made.parent.iterdir()) == [made]
    with closing(sqlite3.connect(made)) as found:
        tables = {name for (name,) in found.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert len(tables) > 20
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = {name: found.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    assert {name for name, count in rows.items() if count} <= {"alembic_version", "workspaces"}, "no runs of anybody"
    assert databases.revision(made)
