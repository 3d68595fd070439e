"""Whether a run would find the same results as the last one. If so, they are shown without starting anything.

``inputs_key`` hashes everything that results depend on. The key is stored beside the results, with a hash of
results.json. Things that a run does not read are no inputs: prices of finished calls, ledgers, MLflow's model registry.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks import jsonl
from tasks.analysis.decisions.champion import current_champion, places_of
from tasks.config import StudyConfig
from tasks.discovery.memory import mark_retired
from tasks.errors import RunError, UserError, writing
from tasks.files import replace_file
from tasks.generation.synthesize import KIND as SYNTHESES
from tasks.generation.synthesize import synthesis_key
from tasks.labelling.judges import stored_judgements
from tasks.labelling.panel import stored_votes
from tasks.labelling.people import read_judgements
from tasks.planning.grid import needs_annotators, summarise
from tasks.planning.plan import Plan
from tasks.records import TaskData, Trial, content_key
from tasks.reporting import publish
from tasks.reporting.results import Results, package_versions
from tasks.results_file import RESULTS
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.classifiers import resolve
from tasks.training.hardware import precision
from tasks.training.trial import KIND as TRIALS
from tasks.versions import code_version

FILE = "inputs.json"
"""Name of the file with the key, beside the results."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The inputs of the last results."""

    inputs: str
    results: str
    """SHA-256 of results.json."""


def inputs_key(
    config: StudyConfig, data: Sequence[TaskData], syntheses: Iterable[str], trials: Sequence[Trial], settings: Settings
) -> str:
    """Content key of everything that the results of a study depend on.

    ``syntheses`` are the keys of its data sets, ``trials`` its cells. Artifacts are hashed with their content, because
    an artifact that was deleted and made again may differ; a missing or damaged one counts as null. Champions are those
    after the run: if another study has replaced one, the study's LLMs must be compared with the new one.

    Raises ``RunError`` if the store cannot be read.
    """
    store, asked = Store(settings.store_url), config.subjectivity
    champions = [current_champion(store, *place) for place in places_of(trials)]
    trained = {trial.key for trial in trials} | {key for one in champions if one for key in one.trials.values()}
    return content_key(
        {
            "config": config,
            "code": code_version(),
            "packages": package_versions(),  # the price table is one of them
            "precision": precision(),
            "classifiers": [resolve(classifier) for classifier in config.classifiers],
            "mlflow": settings.mlflow_uri,
            "data": [(rows.key, summarise(config, rows)) for rows in data],
            "syntheses": {key: store.digest(SYNTHESES, key) for key in syntheses},
            "trials": {key: store.digest(TRIALS, key) for key in trained},
            "champions": champions,
            "votes": [
                stored_votes(rows, asked, config.test_rows, settings)
                for rows in data
                if asked and needs_annotators(config, rows)
            ],
            "judges": stored_judgements(data, asked, settings) if asked and asked.judges else None,
            "people": read_judgements(Path(asked.judgements), [rows.task.name for rows in data])
            if asked and asked.judgements
            else None,
        }
    )


def keep_inputs(inputs: str, study: str, settings: Settings) -> None:
    """Store the inputs of a study's results beside them. Raises ``RunError`` if this fails."""
    folder = publish.folder_of(study, settings)
    kept = _Kept(inputs, _hash(folder / RESULTS))
    with writing("the results to", folder):
        replace_file(folder / FILE, jsonl.encode(kept))


def unchanged_results(plan: Plan, data: Sequence[TaskData], settings: Settings) -> Results | None:
    """The last results of a study if a run would find the same; null if a run is needed.

    A run is needed if a part of the plan is not stored, an input has changed, a part of the last run failed, or the
    results or MLflow's database are gone. MLflow itself is not asked.
    """
    config, folder = plan.study, publish.folder_of(plan.study.name, settings)
    if plan.questions or not plan.all_stored:
        return None
    scheme, _, database = settings.mlflow_uri.partition(":///")
    if scheme == "sqlite" and not Path(database).exists():
        return None
    try:
        kept = jsonl.from_line((folder / FILE).read_bytes(), _Kept)
        if kept.results != _hash(folder / RESULTS) or not (folder / publish.REPORT).is_file():
            return None
        results = publish.last_results(config.name, settings)
        of_task = {rows.task.name: rows for rows in data}
        syntheses = [synthesis_key(job, of_task[job.task.name]) for job in plan.synthesis_jobs]
        inputs = inputs_key(config, data, syntheses, results.cells, settings)
        retired = mark_retired(results.challenges, Store(settings.store_url)) != results.challenges
    except (OSError, jsonl.DamagedError, RunError, UserError):  # a run reports what is wrong
        return None
    troubled = results.status != "ok" or any(item.error for item in results.syntheses)  # texts that were not measured
    return None if inputs != kept.inputs or retired or troubled else results


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
