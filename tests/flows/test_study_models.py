"""A study that logs models: its champion is in MLflow's registry, once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import tracking
from tasks.registry import CHAMPION
from tests.flows.test_study import Writer, synthgap, write_study

pytestmark = pytest.mark.slow

QUICK = {"model": "embedded/minilm-l6", "epochs": 1, "min_steps": 8, "max_length": 32}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def study(place: Path) -> Iterator[str]:
    writer = Writer()
    options = {"modes": ["real", "few_shot"], "reference_rows": 0, "seeds": [0, 1], "log_models": True}
    yield str(write_study(place, writer.url, classifiers=[QUICK], **options))
    writer.server.shutdown()


@pytest.fixture(scope="module")
def first(place: Path, study: str) -> dict:
    done = synthgap(place, "run", study, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def version(place: Path) -> str:
    client = tracking.connect(f"sqlite:///{place / 'home' / 'mlflow.db'}")
    return str(client.get_model_version_by_alias("sms_spam", CHAMPION).version)


def test_the_champion_s_model_is_registered(first: dict, place: Path) -> None:
    [model] = first["models"]
    assert (model["task"], model["version"], model["seed"]) == ("sms_spam", "1", 0)
    assert model["agreement"] > 0.9
    assert version(place) == "1"
    assert {row["outcome"] for row in first["challenges"]} == {"first"}


def test_the_champion_met_again_is_not_registered_again(first: dict, place: Path, study: str) -> None:
    again = json.loads(synthgap(place, "run", study, "--json").stdout)
    assert again["models"] == again["challenges"] == []
    assert version(place) == "1"
