import random
from pathlib import Path

import hypothesis
import pytest

from tasks.config import ClassifierConfig, TaskConfig
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.records import TrialJob
from tasks.settings import Settings
from tasks.training import worker
from tests.arms import make_arm

hypothesis.settings.register_profile("shared-machine", deadline=None, max_examples=40)
hypothesis.settings.load_profile("shared-machine")


@pytest.fixture(scope="session", autouse=True)
def _one_worker():
    yield
    worker.stop_workers()


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


@pytest.fixture(scope="session")
def spam(tmp_path_factory):
    """120 short real messages, 60 of each label, shuffled, out of the package that carries them."""
    rows = load(find_task("sms_spam", Path()), Settings(home=tmp_path_factory.mktemp("home"), data_dir=None), 0.1).train
    chosen = [
        row for label in ("ham", "spam") for row in [r for r in rows if r.label == label and len(r.text) < 100][:60]
    ]
    random.Random(0).shuffle(chosen)
    return chosen


@pytest.fixture(scope="session")
def make_job():
    task = TaskConfig(
        name="sms_spam",
        title="SMS spam",
        text="a text message",
        context="You write text messages.",
        labels={"ham": "a wanted message", "spam": "an unwanted advertisement"},
        sources=[{"kind": "files", "train": "train.csv"}],
    )

    def job(**fields):
        classifier = fields.pop("classifier", {"model": "embedded/minilm-l6", "epochs": 1, "min_steps": 12})
        mode, source = fields.pop("mode", "real"), fields.pop("source", None)
        values = {
            "arm": make_arm(task.name, mode, source, classifier["model"]),
            "task": task,
            "classifier": ClassifierConfig.model_validate(classifier),
            "seed": 0,
            "data_key": "d",
            "synthesis_key": None,
            "draw": 0,
            "label_counts": {"ham": 1, "spam": 1},
            "test_rows": None,
        }
        return TrialJob(**values | fields)

    return job
