"""A home with a database for MLflow."""

from pathlib import Path

import pytest

from tasks.settings import Settings
from tasks.tracking import runs


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, copied by each test: migrating takes seconds."""
    home = tmp_path_factory.mktemp("migrated")
    runs.prepare(Settings(home=home), "warm-up")
    return home / "mlflow.db"


@pytest.fixture
def settings(tmp_path: Path, migrated: Path) -> Settings:
    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    return Settings(home=tmp_path)
