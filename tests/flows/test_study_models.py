"""A study that logs models: its champion is in MLflow's registry, once, and nothing hangs on that.

The tests are one story, told in the order of the file.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.tracking.connection import connect
from tasks.tracking.registry import CHAMPION
from tests.flows.test_study import Writer, synthgap, write_study

pytestmark = pytest.mark.slow

QUICK = {"model": "embedded/minilm-l6", "epochs": 1, "min_steps": 8, "max_length": 32}
OPTIONS = {"classifiers": [QUICK], "modes": ["real", "few_shot"], "reference_rows": 0, "seeds": [0, 1]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    writer = Writer()
    yield writer
    writer.server.shutdown()


def run(place: Path, writer: Writer, code: int = 0, **change: Any) -> dict[str, Any]:
    done = synthgap(place, "run", str(write_study(place, writer.url, **OPTIONS, **change)), "--json", "--again")
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout))


def version(place: Path) -> str:
    client = connect(f"sqlite:///{place / 'home' / 'mlflow.db'}")
    return str(client.get_model_version_by_alias("sms_spam", CHAMPION).version)


def test_a_failure_to_log_is_recorded_and_the_rest_of_the_study_stands(place: Path, writer: Writer) -> None:
    assert run(place, writer, log_models=False)["models"] == []
    blocked = place / "home" / "mlflow-artifacts" / "small" / "models"  # a file where MLflow wants its folder
    blocked.touch()
    found = run(place, writer, code=1)
    [failure] = found["failures"]
    assert failure["stage"] == f"log model · sms_spam · few_shot · openai/writer · {QUICK['model']} · seed 0"
    assert str(blocked) in failure["error"]
    assert (found["status"], found["models"]) == ("failed", [])
    assert all(cell["status"] == "ok" for cell in found["cells"])
    assert any(row["arm"]["mode"] == "few_shot" and row["gap"] for row in found["comparisons"])
    blocked.unlink()


def test_the_next_run_registers_the_champion_s_model_trained_once_more(place: Path, writer: Writer) -> None:
    asked = len(writer.bodies)
    [model] = run(place, writer)["models"]
    assert (model["task"], model["version"], model["seed"]) == ("sms_spam", "1", 0)
    assert model["agreement"] > 0.9
    assert version(place) == "1"
    assert len(writer.bodies) == asked
    assert not (place / "home" / "weights").exists() or not list((place / "home" / "weights").iterdir())


def test_the_champion_met_again_is_not_registered_again(place: Path, writer: Writer) -> None:
    again = run(place, writer)
    assert again["models"] == again["challenges"] == []
    assert version(place) == "1"


def test_a_model_that_its_trial_left_is_logged_as_it_is(tmp_path: Path, writer: Writer) -> None:
    """Nothing is trained twice, and nothing is left of the weights."""
    [model] = run(tmp_path, writer)["models"]
    assert (model["version"], model["agreement"], version(tmp_path)) == ("1", 1.0, "1")
    assert not list((tmp_path / "home" / "weights").iterdir())
    [kept] = (tmp_path / "home" / "mlflow-artifacts").rglob("model.safetensors")
    assert kept.stat().st_size > 10**6


def test_a_probe_is_registered_like_any_other(tmp_path: Path, writer: Writer) -> None:
    study = write_study(tmp_path, writer.url, **{**OPTIONS, "classifiers": ["probe/embedded/minilm-l6"]})
    done = synthgap(tmp_path, "run", str(study), "--json")
    assert done.returncode == 0, done.stderr
    [model] = json.loads(done.stdout)["models"]
    assert (model["classifier"], model["version"], model["agreement"]) == ("probe/embedded/minilm-l6", "1", 1.0)
    assert [path.name for path in (tmp_path / "home" / "mlflow-artifacts").rglob("coefficients.npz")]
