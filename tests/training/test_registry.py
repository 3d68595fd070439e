"""A trained model in MLflow's registry: who gets there, and what a user's process makes of it."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.analysis.decisions.champion import Champion, current_champion, update_champions
from tasks.config import StudyConfig
from tasks.records import Trial
from tasks.store import Store
from tasks.tracking import runs
from tasks.tracking.connection import connect
from tasks.tracking.registry import register, registered, worth_logging
from tasks.training.trial import run_trial, train_model

pytestmark = pytest.mark.slow

LOAD = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/sms_spam@champion")
example, signature = model.input_example, model.metadata.signature.to_dict()
print(json.dumps([list(example), signature, model.predict(["Free prize! Call now"]).to_dict("records")]))
"""
CHAMPION = Champion("few_shot · openai/a", "few_shot", "openai/a", 80, {"0": "k"}, "embedded/minilm-l6", 0.9)


def config(*classifiers: str) -> StudyConfig:
    return StudyConfig(name="s", tasks=("sms_spam",), modes=("real",), classifiers=[{"model": c} for c in classifiers])


def test_the_champion_of_a_task_loads_and_predicts(settings, make_job, spam, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    train, test = spam[:80], spam[80:]
    job = make_job()
    trial = run_trial(job, settings, train, test)
    with runs.study_run(settings, config("embedded/minilm-l6")) as run:
        run_id = runs.log_trial(settings, *run, trial, job)
    folder = settings.home / "model"
    assert train_model(job, settings, train, test, folder) > 0.9
    assert registered(settings, "sms_spam") is None
    versions = [register(settings, run_id, "sms_spam", CHAMPION, folder, train[0].text) for _ in "ab"]
    assert versions == ["1", "2"]
    assert registered(settings, "sms_spam") == CHAMPION
    done = subprocess.run(
        [sys.executable, "-c", LOAD, settings.mlflow_uri], capture_output=True, text=True, check=True, timeout=300
    )
    example, signature, [said] = json.loads(done.stdout.splitlines()[-1])
    assert example == [train[0].text]
    assert {"inputs", "outputs"} <= signature.keys()
    assert said["label"] in ("ham", "spam")
    assert 0 < said["score"] <= 1
    client = connect(settings.mlflow_uri)
    version = client.get_model_version_by_alias("sms_spam", "champion")
    assert str(version.version) == "2"
    assert client.get_run(run_id).info.status == "FINISHED"
    kept = [path for path in Path(settings.home).rglob("model.safetensors") if "mlflow-artifacts" in path.parts]
    assert len(kept) == 2 and not (tmp_path / "mlruns").exists()


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
        return found

    def with_champion(generator: str, right: int):
        made = cells(generator, right)
        update_champions([trial for _, trial in made], store)
        return made

    runs.prepare(settings, "s")
    first = with_champion("openai/first", 4)
    [logging] = worth_logging(config(classifier), first, settings)
    assert (logging.challenge.outcome, logging.job.seed, logging.run_id) == ("first", 0, "run-0")
    assert worth_logging(config("probe/embedded/minilm-l6"), first, settings) == []  # no model to log

    client = connect(settings.mlflow_uri)
    client.create_registered_model("sms_spam")
    client.create_model_version("sms_spam", str(settings.home))
    client.set_registered_model_alias("sms_spam", "champion", "1")
    assert worth_logging(config(classifier), first, settings) == []  # somebody's alias: nothing to compare with
    record = json.dumps(asdict(current_champion(store, "sms_spam", "", classifier)))
    client.set_model_version_tag("sms_spam", "1", "synthgap.champion", record)
    assert worth_logging(config(classifier), first, settings) == []  # itself
    better = with_champion("openai/better", 10)
    [logging] = worth_logging(config(classifier), better, settings)
    assert (logging.challenge.outcome, logging.champion.generator) == ("better", "openai/better")
    equal = replace(current_champion(store, "sms_spam", "", classifier), generator="openai/equal")
    client.set_model_version_tag("sms_spam", "1", "synthgap.champion", json.dumps(asdict(equal)))
    assert worth_logging(config(classifier), better, settings) == []  # as good as it: undecided
