import csv
import random
from pathlib import Path

import hypothesis
import pytest

from tasks.config import ClassifierConfig, TaskConfig
from tasks.records import Example, TrialJob
from tasks.settings import Settings
from tasks.training import worker

hypothesis.settings.register_profile("shared-machine", deadline=None, max_examples=40)
hypothesis.settings.load_profile("shared-machine")

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _one_worker():
    yield
    worker.stop_workers()


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


@pytest.fixture(scope="session")
def spam():
    """120 short real messages, 60 of each label, shuffled."""
    with (DATA / "sms_spam" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [Example(row["text"], row["label"]) for row in csv.DictReader(file)]
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
        values = {
            "task": task,
            "mode": "real",
            "generator": None,
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
