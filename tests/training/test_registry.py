"""A trained model in MLflow's registry: who gets there, and what a user's process makes of it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.analysis.decisions.champion import Champion, current_champion, update_champions
from tasks.config import StudyConfig
from tasks.records import Challenge, Trial
from tasks.store import Store
from tasks.tracking import runs
from tasks.tracking.connection import connect
from tasks.tracking.registry import EXAMPLE, Logging, register, registered, worth_logging
from tasks.tracking.trials import log_trial
from tasks.training.screening import Cell, run_trials, save_probe
from tasks.training.trial import read_predictions, run_trial, train_model

pytestmark = pytest.mark.slow

LOAD = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/sms_spam@champion")
example, signature = model.input_example, model.metadata.signature.to_dict()
said = model.predict(json.loads(sys.argv[2])).to_dict("records")
print(json.dumps([list(example), signature, said, [name for name in sys.modules if name.startswith("tasks")]]))
"""
CHAMPION = Champion("few_shot · openai/a", "few_shot", "openai/a", 80, {"0": "k"}, "embedded/minilm-l6", 0.9)


def config(*classifiers: str) -> StudyConfig:
    return StudyConfig(name="s", tasks=("sms_spam",), modes=("real",), classifiers=[{"model": c} for c in classifiers])


def load(settings, texts, folder):
    """What a user's process, without synthgap, makes of the champion."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, settings.mlflow_uri, json.dumps(texts)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=folder,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def logging_of(job, trial, settings, classifier):
    """A trial that is to be logged, with the run that shows it."""
    with runs.study_run(settings, config(classifier)) as run:
        trial = replace(trial, run_id=log_trial(settings, run, trial, job))
    return Logging(CHAMPION, Challenge("sms_spam", "", classifier, "openai/a", None, "first"), job, trial)


def test_the_champion_of_a_task_loads_and_predicts(settings, make_job, spam, tmp_path, monkeypatch) -> None:
    """From the weights that its trial left, twice; and from others that are trained once more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uv.lock").write_text("version = 1")  # a project of the user's, which is no part of a model
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'theirs'")
    train, test = spam[:80], spam[80:]
    job = make_job()
    trial = run_trial(job, settings, train, test, weights=settings.home / "weights")
    kept = settings.home / "weights" / trial.key
    logging = logging_of(job, trial, settings, "embedded/minilm-l6")
    assert registered(settings, "sms_spam") is None
    versions = [register(settings, logging, kept, 1.0) for _ in "ab"]
    assert versions == ["1", "2"]
    assert registered(settings, "sms_spam") == CHAMPION
    example, signature, said, _ = load(settings, [row.text for row in test], tmp_path)
    assert example == [EXAMPLE]
    assert {"inputs", "outputs"} <= signature.keys()
    predictions = read_predictions(Store(settings.store_url), trial.key)
    assert [row["label"] for row in said] == [row.predicted for row in predictions]
    assert all(0 < row["score"] <= 1 for row in said)
    client = connect(settings.mlflow_uri)
    assert str(client.get_model_version_by_alias("sms_spam", "champion").version) == "2"
    assert client.get_run(str(logging.trial.run_id)).info.status == "FINISHED"
    files = [path for path in Path(settings.home).rglob("*") if "mlflow-artifacts" in path.parts]
    assert sum(path.name == "model.safetensors" for path in files) == 2 and not (tmp_path / "mlruns").exists()
    assert not [path for path in files if path.name in ("uv.lock", "pyproject.toml")]
    assert train_model(job, settings, train, test, settings.home / "again") > 0.9


def test_a_probe_is_its_encoder_and_coefficients_and_loads_without_synthgap(settings, make_job, spam, tmp_path) -> None:
    train, test = spam[:80], spam[80:]
    job = make_job(classifier={"model": "probe/embedded/minilm-l6"})
    [trial] = run_trials([Cell(job, train, test)], settings)
    folder = settings.home / "probe"
    assert save_probe(Cell(job, train, test), settings, folder) == 1
    assert {path.suffix for path in folder.iterdir()} == {".json", ".npz"}
    logging = logging_of(job, trial, settings, "probe/embedded/minilm-l6")
    assert register(settings, logging, folder, 1.0) == "1"
    example, signature, said, ours = load(settings, [row.text for row in test], tmp_path)
    assert (example, ours) == ([EXAMPLE], [])
    assert {"inputs", "outputs"} <= signature.keys()
    predictions = read_predictions(Store(settings.store_url), trial.key)
    assert [row["label"] for row in said] == [row.predicted for row in predictions]
    assert [row["score"] for row in said] == pytest.approx([max(row.probabilities) for row in predictions], abs=1e-3)
    files = {path.name for path in Path(settings.home).rglob("*") if "models" in path.parts and path.is_file()}
    assert {"coefficients.npz", "probe.json", "synthgap_probe.py"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".bin", ".safetensors"))]


def test_only_a_better_one_is_worth_a_model(settings, make_job) -> None:
    """The registry holds a champion of four of ten; all of ten is better beyond chance, four of ten again is not."""
    store, classifier = Store(settings.store_url), "embedded/minilm-l6"

    def cells(generator: str, right: int):
        found = []
        for seed in range(6):
            key, lines = f"{generator}-{seed}", []
            for i in range(200):
                label = ("ham", "spam")[i % 2]
                said = label if (i // 2) % 10 < right else ("spam", "ham")[i % 2]
                fields = {"item": f"item{i}", "label": label, "predicted": said, "probabilities": []}
                lines.append(json.dumps({**fields, "agreement": None}))
            store.put("trials", key, {}, {"predictions.jsonl": "\n".join(lines).encode()})
            job = make_job(mode="few_shot", source=generator, seed=seed)
            shape = (key, job.arm, seed, "ok", 100, 200, {"ham": 50, "spam": 50})
            found.append((job, Trial(*shape, right / 10, right / 10, run_id=f"run-{seed}")))
        return tuple(zip(*found, strict=True))

    def with_champion(generator: str, right: int):
        made = cells(generator, right)
        update_champions(made[1], store)
        return made

    runs.prepare(settings, "s")
    first = with_champion("openai/first", 4)
    [logging] = worth_logging(config(classifier), *first, settings)
    assert (logging.challenge.outcome, logging.job.seed, logging.trial.run_id) == ("first", 0, "run-0")
    unlogged = [replace(trial, run_id=None) for trial in first[1]]
    assert worth_logging(config(classifier), first[0], unlogged, settings) == []  # MLflow has no run to show it by

    client = connect(settings.mlflow_uri)
    client.create_registered_model("sms_spam")
    client.create_model_version("sms_spam", str(settings.home))
    client.set_registered_model_alias("sms_spam", "champion", "1")
    assert worth_logging(config(classifier), *first, settings) == []  # somebody's alias: nothing to compare with
    record = json.dumps(asdict(current_champion(store, "sms_spam", "", classifier)))
    client.set_model_version_tag("sms_spam", "1", "synthgap.champion", record)
    assert worth_logging(config(classifier), *first, settings) == []  # itself
    better = with_champion("openai/better", 10)
    [logging] = worth_logging(config(classifier), *better, settings)
    assert (logging.challenge.outcome, logging.champion.generator) == ("better", "openai/better")
    equal = replace(current_champion(store, "sms_spam", "", classifier), generator="openai/equal")
    client.set_model_version_tag("sms_spam", "1", "synthgap.champion", json.dumps(asdict(equal)))
    assert worth_logging(config(classifier), *better, settings) == []  # as good as it: undecided
