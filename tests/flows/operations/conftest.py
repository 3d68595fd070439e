"""A home folder for tests that start no server."""

from pathlib import Path

import pytest

from tasks.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)
