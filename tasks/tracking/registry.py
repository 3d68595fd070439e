"""MLflow's model registry: the model of a task's best training rows, under the task's name, with alias ``champion``.

Tags of a version hold its champion and the trials that show it. So the registry itself has what a new model must be
compared with, and the alias moves only if the whole interval of the lead is above 0. A fine-tuned model is the one that
its trial kept. If the trial kept none (it was found in the store, or ran on a cluster), it is trained once more. A
probe is fitted once more from stored embeddings, which takes less than a second.
"""

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tasks import jsonl
from tasks.analysis.decisions.champion import WON, Champion, champion_among, compare_with_champion
from tasks.config import StudyConfig
from tasks.data.load import read_data
from tasks.data.sample import test_sample
from tasks.records import Challenge, Trial, TrialJob
from tasks.reporting.results import RegisteredModel
from tasks.settings import PRIVATE, Settings
from tasks.store import Store
from tasks.tracking.connection import clear_errors, connect
from tasks.training import synthgap_probe, worker
from tasks.training.classifiers import saved_form
from tasks.training.rows import training_rows
from tasks.training.screening import Cell, save_probe
from tasks.training.trial import train_model

CHAMPION = "champion"
RECORD = "synthgap.champion"
"""Tag of a version with its ``Champion``."""
EXAMPLE = "a text to classify"
"""Example of an input. It is no text of the task, because that may be private."""
PACKAGES = ("transformers", "torch")
"""Packages that a logged model needs, at the versions that made it."""


def model_name(task: str) -> str:
    """Name of a task's registered model. MLflow accepts no slash and no colon in it."""
    return re.sub(r"[/:]", "-", task)


@dataclass(frozen=True)
class Logging:
    """A model to log: its champion, the comparison that it won, and the job that trains it again."""

    champion: Champion
    challenge: Challenge
    job: TrialJob
    trial: Trial
    """The trial, with its MLflow run."""


def worth_logging(
    config: StudyConfig, jobs: Sequence[TrialJob], trials: Sequence[Trial], settings: Settings
) -> list[Logging]:
    """For each task, the champion among its trials if it is better than the one in the registry, or the first one.

    ``jobs`` are the jobs of the trained cells. Raises ``RunError`` if MLflow cannot be reached.
    """
    store = Store(settings.store_url)
    classifiers = [item.model for item in config.classifiers if saved_form(item)]
    asked = {(job.arm, job.seed): job for job in jobs}
    found = []
    for task in dict.fromkeys(trial.task for trial in trials):
        champion = champion_among([trial for trial in trials if trial.task == task], task, classifiers, store)
        if champion is None:
            continue
        challenge = compare_with_champion((task, "", champion.classifier), champion, registered(settings, task), store)
        if challenge and challenge.outcome in WON:
            mine = [trial for trial in trials if champion.won_by(trial) and trial.run_id]
            if mine:  # none if its run could not be logged
                trial = min(mine, key=lambda one: one.seed)  # not the best score: that would select by test rows
                found.append(Logging(champion, challenge, asked[trial.arm, trial.seed], trial))
    return found


def registered(settings: Settings, task: str) -> Champion | None:
    """The champion whose model has the alias; null if none has it. If a user set the alias, it has no trials."""
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


def log_model(logging: Logging, settings: Settings, kept: Path | None = None) -> RegisteredModel:
    """Log and register a model, and give it the alias. Raises ``RunError``.

    ``kept`` is the folder in which its trial kept it. Without it, the model is trained once more.
    """
    store, job = Store(settings.store_url), logging.job
    data = read_data(store, job.data_key)
    rows = training_rows(job, data, store)
    with tempfile.TemporaryDirectory() as temporary:
        folder, agreement = kept or Path(temporary), 1.0
        if kept is None:
            test = test_sample(data, job.test_rows)
            if saved_form(job.classifier) == "probe":
                agreement = save_probe(Cell(job, rows, test), settings, folder)
            else:
                agreement = train_model(job, settings, rows, test, folder)
        version = register(settings, logging, folder, agreement)
    return RegisteredModel(
        task=job.task.name,
        name=model_name(job.task.name),
        version=version,
        made_by=logging.champion.name,
        classifier=job.classifier.model,
        seed=job.seed,
        agreement=agreement,
    )


def register(settings: Settings, logging: Logging, folder: Path, agreement: float) -> str:
    """Log the model in ``folder`` on the run of its trial, register it as a new version, and give this the alias.

    Returns the version; it loads as ``models:/<task>@champion``. Raises ``RunError``. The alias is moved last.
    """
    champion, name = logging.champion, model_name(logging.job.task.name)
    with clear_errors(settings.mlflow_uri):
        client = connect(settings.mlflow_uri)
        save = SAVING[str(saved_form(logging.job.classifier))]
        model = _log(client, str(logging.trial.run_id), folder, save)
        _create_registered(client, name)
        about = f"{champion.classifier} trained on {champion.name}: mean macro-F1 {champion.macro_f1:.3f} over seeds"
        tags = {RECORD: json.dumps(asdict(champion)), "synthgap.agreement": f"{agreement:.4f}"}
        made = client.create_model_version(
            name,
            model.artifact_location,  # with the model's id, MLflow would look it up at its global address
            logging.trial.run_id,
            tags=tags,
            description=about,
            model_id=model.model_id,
        )
        client.set_registered_model_alias(name, CHAMPION, made.version)
        return str(made.version)


def _log(client: Any, run_id: str, folder: Path, save: "Save") -> Any:
    """The logged model of the run. Only the client is used, because MLflow's flavours log by global state."""
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    made = client.create_logged_model(run.info.experiment_id, "model", run_id, params=run.data.params)
    ids = {"artifact_path": made.artifact_location, "model_uuid": made.model_id, "model_id": made.model_id}
    try:
        with tempfile.TemporaryDirectory() as temporary:
            target = Path(temporary) / "model"
            save(folder, target, {**ids, "run_id": run_id})
            for path in target.rglob("*"):  # MLflow copies our loader with the mode of the installed file
                path.chmod(path.stat().st_mode & ~PRIVATE)
            client.log_model_artifacts(made.model_id, str(target))
        client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
    except BaseException:
        client.finalize_logged_model(made.model_id, "FAILED")
        raise
    return client.finalize_logged_model(made.model_id, "READY")


def _create_registered(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


Save = Callable[[Path, Path, Mapping[str, str]], None]
"""Converts the model in a folder to MLflow's form in a new folder, with the ids of the logged model."""


def _save_probe(folder: Path, target: Path, ids: Mapping[str, str]) -> None:
    import mlflow.pyfunc
    from mlflow.models import Model

    package = json.loads((folder / synthgap_probe.ABOUT).read_text(encoding="utf-8"))["package"]
    mlflow.pyfunc.save_model(
        target,
        loader_module=synthgap_probe.__name__.rpartition(".")[2],
        data_path=folder,
        code_paths=[str(synthgap_probe.__file__)],
        mlflow_model=Model(**ids),
        **_described([*PACKAGES, *([package] if package else [])]),
    )


def _save_transformers(folder: Path, target: Path, ids: Mapping[str, str]) -> None:
    worker.call(_save_pipeline, folder, target, ids)  # a study's process does not import transformers


def _save_pipeline(folder: Path, target: Path, ids: Mapping[str, str]) -> None:
    import logging

    import mlflow.transformers
    import transformers
    from mlflow.models import Model

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns that the hub has no model card
    # a pipeline, not the folder: MLflow 3.17 looks a task up that transformers 5 no longer has
    source = str(folder)
    pipeline = transformers.pipeline("text-classification", model=source, tokenizer=source, device="cpu")
    mlflow.transformers.save_model(
        pipeline, target, task="text-classification", mlflow_model=Model(**ids), **_described(PACKAGES)
    )


SAVING: Mapping[str, Save] = {"probe": _save_probe, "transformers": _save_transformers}
"""By the form of a classifier's model. Requirements are given explicitly; MLflow does not infer them."""


def _described(packages: Sequence[str]) -> dict[str, Any]:
    from mlflow.models import infer_signature

    return {
        "signature": infer_signature([EXAMPLE], [{"label": "a label", "score": 0.5}]),
        "input_example": [EXAMPLE],
        "pip_requirements": [f"{package}=={metadata.version(package)}" for package in packages],
    }
