"""What a real run leaves, as `synthgap store` shows it; pruning it costs time, never money."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from flows.cli import app
from tests.flows.small_study import Writer, environment, run, write_study

pytestmark = pytest.mark.slow


def command(place: Path, *arguments: str) -> dict:
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["store", *arguments, "--json"], env={"SYNTHGAP_HOME": str(place / "home")})
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_pruning_costs_time_and_never_money(tmp_path: Path) -> None:
    writer = Writer()
    study = write_study(tmp_path, writer.url)
    first = run(study, environment(tmp_path))[0]
    calls, home = len(writer.bodies), tmp_path / "home"

    shown = command(tmp_path)
    files = [Path(folder) / name for folder, _, names in os.walk(home) for name in names]
    assert shown["bytes"] == sum(path.stat().st_size for path in files)
    assert {row["kind"] for row in shown["kinds"]} >= {
        "syntheses",
        "trials",
        "data",
        "journals",
        "mlflow.db",
        "budgets",
    }
    assert [row["study"] for row in shown["studies"]] == ["small"]
    open_to_others = [path for path in [home, *files] if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert not open_to_others

    command(tmp_path, "prune", "--days", "0", "--journals", "--apply")
    again = run(study, environment(tmp_path))[0]
    assert all(cell["cached"] for cell in again["cells"])
    assert again["comparisons"] == first["comparisons"]

    shutil.rmtree(home / "studies" / "small")
    freed = command(tmp_path, "prune", "--days", "0", "--apply")
    assert {"syntheses", "trials"} <= {row["kind"] for row in freed["kinds"]}
    anew = run(study, environment(tmp_path))[0]
    cached = {cell["arm"]["mode"]: cell["cached"] for cell in anew["cells"]}
    assert cached == {"real": False, "real_full": False, "majority": False, "few_shot": True}  # the champion's stay
    assert [item["yields"] for item in anew["syntheses"]] == [item["yields"] for item in first["syntheses"]]
    assert len(writer.bodies) == calls
