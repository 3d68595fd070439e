"""MLflow's model registry: the model of a task's best training rows, under the task's name, with alias ``champion``.

Whose model it is stands in tags of its version, with the trials that made it the best: so the registry itself says
whom a new one has to beat, and the alias moves for one that is better beyond chance only. A model is logged in a worker
process: MLflow's flavours know global state only (active run, tracking address), and transformers stays out of the
process that runs the study.
"""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from tasks import jsonl
from tasks.analysis.decisions.champion import WON, Champion, champion_among, compare_with_champion
from tasks.config import StudyConfig
from tasks.data.load import read_data
from tasks.data.sample import test_sample
from tasks.records import Challenge, Trial, TrialJob
from tasks.reporting.results import RegisteredModel
from tasks.settings import Settings
from tasks.store import Store
from tasks.tracking.connection import clear_errors, connect
from tasks.training import worker
from tasks.training.classifiers import can_save
from tasks.training.rows import training_rows
from tasks.training.trial import train_model

CHAMPION = "champion"
RECORD = "synthgap.champion"
"""Tag of a version that holds its ``Champion``."""
PACKAGES = ("transformers", "torch")
"""What a logged model needs to be loaded, at the versions that made it."""


def model_name(task: str) -> str:
    """Name of a task's registered model; MLflow takes no slash and no colon in one."""
    return re.sub(r"[/:]", "-", task)


Cell = tuple[TrialJob, Trial]
"""What was asked for and what came of it, logged to MLflow."""


@dataclass(frozen=True)
class Logging:
    """A model that is worth being logged: whose it is, what it has beaten, and how it is trained again."""

    champion: Champion
    challenge: Challenge
    job: TrialJob
    run_id: str
    """MLflow run of the cell."""


def worth_logging(config: StudyConfig, cells: Sequence[Cell], settings: Settings) -> list[Logging]:
    """For each task of a study the champion among its cells, where it beats the one in the registry or is the first.

    Raises ``RunError`` when MLflow cannot be reached.
    """
    store = Store(settings.store_url)
    classifiers = [item.model for item in config.classifiers if can_save(item)]
    trials = [trial for _, trial in cells]
    found = []
    for task in dict.fromkeys(trial.task for trial in trials):
        champion = champion_among([trial for trial in trials if trial.task == task], task, classifiers, store)
        if champion is None:
            continue
        challenge = compare_with_champion((task, "", champion.classifier), champion, registered(settings, task), store)
        if challenge and challenge.outcome in WON:
            mine = [cell for cell in cells if champion.won_by(cell[1]) and cell[1].run_id]
            job, trial = min(mine, key=lambda cell: cell[0].seed)  # the best by score would be chosen by test rows
            found.append(Logging(champion, challenge, job, str(trial.run_id)))
    return found


def registered(settings: Settings, task: str) -> Champion | None:
    """Whose model has the alias; null where none has. One that somebody else gave it has no trials to compare with."""
    from mlflow.exceptions import MlflowException

    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        try:
            version = client.get_model_version_by_alias(model_name(task), CHAMPION)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no model, or no alias
                return None
            raise
        record = version.tags.get(RECORD)
        try:
            return jsonl.from_line((record or "").encode(), Champion)
        except jsonl.DamagedError:  # registered by hand, or by another version
            return Champion(f"version {version.version}", "", "", 0, {})


def log_model(logging: Logging, settings: Settings) -> RegisteredModel:
    """Train a model once more, log and register it, and make it the champion. Raises ``RunError``."""
    store, job = Store(settings.store_url), logging.job
    data = read_data(store, job.data_key)
    rows, test = training_rows(job, data, store), test_sample(data, job.test_rows)
    with tempfile.TemporaryDirectory() as folder:
        agreement = train_model(job, settings, rows, test, Path(folder))
        version = register(settings, logging.run_id, job.task.name, logging.champion, Path(folder), rows[0].text)
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        client.set_model_version_tag(model_name(job.task.name), version, "synthgap.agreement", f"{agreement:.4f}")
    return RegisteredModel(
        task=job.task.name,
        name=model_name(job.task.name),
        version=version,
        made_by=logging.champion.name,
        classifier=job.classifier.model,
        seed=job.seed,
        agreement=agreement,
    )


def register(settings: Settings, run_id: str, task: str, champion: Champion, folder: Path, example: str) -> str:
    """Log the model in ``folder`` on a cell's run, register it as a new version and give that the alias.

    ``example`` is a text of the kind that it classifies. Returns the version; it loads as ``models:/<task>@champion``.
    Raises ``RunError``; the alias is moved last.
    """
    with clear_errors(settings.mlflow_uri):
        connect(settings.mlflow_uri)  # sets what MLflow reads from the environment, for the worker too
        version = worker.call(_log, settings.mlflow_uri, run_id, model_name(task), str(folder), example)
        client = connect(settings.mlflow_uri)
        about = f"{champion.classifier} trained on {champion.name}: mean macro-F1 {champion.macro_f1:.3f} over seeds"
        client.update_model_version(model_name(task), version, about)
        client.set_model_version_tag(model_name(task), version, RECORD, json.dumps(asdict(champion)))
        client.set_registered_model_alias(model_name(task), CHAMPION, version)
        return version


def _log(uri: str, run_id: str, name: str, folder: str, example: str) -> str:
    """In a worker: the registered version."""
    import logging

    import mlflow
    import mlflow.transformers
    import transformers

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it misses a model card on the hub
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=mlflow.get_run(run_id).info.experiment_id)  # else the default one's ./mlruns
    # not the folder itself: MLflow 3.17 asks transformers 5 for a name that its table of tasks no longer holds
    pipeline = transformers.pipeline("text-classification", model=folder, tokenizer=folder, device="cpu")
    logged = mlflow.transformers.log_model(
        transformers_model=pipeline,
        name="model",
        task="text-classification",
        signature=mlflow.models.infer_signature([example], [{"label": "a label", "score": 0.5}]),
        input_example=[example],
        pip_requirements=[f"{package}=={metadata.version(package)}" for package in PACKAGES],
        registered_model_name=name,
        run_id=run_id,
    )
    return str(logged.registered_model_version)
