"""What the services of ``up`` are started with: pages, databases and names."""

import os
from pathlib import Path

import pytest

from flows.operations import services
from flows.operations.login import PAGE
from flows.operations.process import ServerProcess
from flows.operations.services import prepare_pages, upgrade_mlflow
from tasks.settings import Settings


def test_prefects_pages_are_kept_to_their_server_unless_a_user_names_another(settings: Settings) -> None:
    pages = settings.home / "prefect" / "pages"
    for version in ("v1", "v2"):
        (pages / version).mkdir(parents=True)
        (pages / version / "index.html").write_text("<html><head><title>x</title></head></html>")
    prepare_pages(settings, {"PREFECT_SERVER_UI_API_URL": "https://api.example"})
    assert "connect-src" not in (pages / "v2" / "index.html").read_text()
    for _ in range(2):  # a server that starts again finds its pages as they are
        prepare_pages(settings, {})
    for version in ("v1", "v2"):
        assert (pages / version / "index.html").read_text().count("connect-src 'self'") == 1
    assert (pages / "v1" / PAGE).exists()


def test_without_pages_there_is_no_page_of_ours(settings: Settings) -> None:
    prepare_pages(settings, {})
    assert not list(settings.home.iterdir())


def failed(settings: Settings, program: str) -> ServerProcess:
    """A server that has ended."""
    (settings.home / "mute.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(settings.home)}
    process = ServerProcess("The server", ["mute"], environment, settings.home / "mute.log", settings.home)
    process.process.wait()
    return process


@pytest.mark.slow
def test_an_older_database_of_mlflow_is_upgraded_and_a_copy_kept(settings: Settings) -> None:
    import sqlite3

    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    Base.metadata.create_all(create_sqlalchemy_engine(settings.mlflow_uri))
    config = _get_alembic_config(settings.mlflow_uri)
    newest, older, *_ = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()]
    command.upgrade(config, older)
    assert upgrade_mlflow(failed(settings, "print('Detected out-of-date database schema (found version a)')"), settings)

    def version(name: str) -> str:
        return sqlite3.connect(settings.home / name).execute("select version_num from alembic_version").fetchone()[0]

    assert (version("mlflow.db"), version("mlflow.db.before-upgrade")) == (newest, older)


def test_another_failure_of_mlflow_upgrades_nothing(settings: Settings) -> None:
    assert not upgrade_mlflow(failed(settings, "raise SystemExit('error: no space left')"), settings)


def test_a_worker_is_called_the_same_at_every_start_and_otherwise_elsewhere(tmp_path: Path) -> None:
    here, there = Settings(home=tmp_path / "a"), Settings(home=tmp_path / "b")
    assert services.worker_name(here) == services.worker_name(here) != services.worker_name(there)
