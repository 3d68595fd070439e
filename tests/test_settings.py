import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import UserError
from tasks.settings import Settings


def test_an_unknown_runner_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHGAP_RUNNER", "dusk")
    with pytest.raises(UserError, match=r"'dusk'.*'dask'.*dask, ray, threads"):
        Settings()


def test_an_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNNER", "RUNNER_ADDRESS", "STORE", "TRACKING_URI", "ARTIFACTS"):
        monkeypatch.setenv(f"SYNTHGAP_{name}", "")
    assert Settings(home=Path("/h")) == Settings(home=Path("/h"), runner="threads")
    assert Settings(home=Path("/h")).store_url == "/h/store"


def test_files_of_mlflow_go_where_the_setting_says() -> None:
    assert Settings(home=Path("/h")).artifacts_uri == "file:///h/mlflow-artifacts"
    assert Settings(home=Path("/h"), artifacts="s3://bucket/mlflow/").artifacts_uri == "s3://bucket/mlflow"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_new_files_are_private_but_those_in_the_users_own_folders(tmp_path: Path, umask: int) -> None:
    """In a process of its own: the umask is the whole process's."""
    script = """
import os, sys
from pathlib import Path
from tasks.settings import Settings, shared_files
os.umask(int(sys.argv[2]))
Settings(home=Path(sys.argv[1]) / "home").check_home()
Settings(home=Path(sys.argv[1]) / "home").check_home()
with shared_files():
    (Path(sys.argv[1]) / "shared").write_text("x")
    (Path(sys.argv[1]) / "shared folder").mkdir()
(Path(sys.argv[1]) / "private").write_text("x")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(umask)], check=True)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {
        "home": 0o700,
        "private": 0o600,
        "shared": 0o666 & ~umask,
        "shared folder": 0o777 & ~umask,
    }


@pytest.mark.parametrize("value", ["-1", "five", "nan", "inf", "1,5"])
@pytest.mark.parametrize("name", ["MOST_USD", "MOST_TOKENS"])
def test_a_cap_that_is_no_amount_is_one_clear_message(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SYNTHGAP_{name}", value)
    with pytest.raises(UserError, match=rf"SYNTHGAP_{name} is '{value}'; write a .*number of"):
        Settings()


def test_caps_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().most_usd is None is Settings().most_tokens
    monkeypatch.setenv("SYNTHGAP_MOST_USD", "2.5")
    monkeypatch.setenv("SYNTHGAP_MOST_TOKENS", "0")
    assert (Settings().most_usd, Settings().most_tokens) == (2.5, 0)
