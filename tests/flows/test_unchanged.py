"""A study of which a run would find the same results: they are shown again, and nothing is started. Any change runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.analysis.compare import compare
from tasks.analysis.decisions.champion import KIND as CHAMPIONS
from tasks.analysis.decisions.champion import update_champions
from tasks.config import Study, load_study
from tasks.data.load import save_data
from tasks.data.sample import test_sample as sample_test
from tasks.discovery.memory import Known, remember
from tasks.generation.synthesize import synthesize
from tasks.labelling.untrained import classify
from tasks.planning.grid import synthetic_jobs
from tasks.planning.make import load_tasks, make_plan
from tasks.records import Spent
from tasks.reporting import publish
from tasks.reporting.results import Failure, Results, total
from tasks.reporting.unchanged import FILE, inputs_key, keep_inputs, unchanged_results
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.request import Training
from tasks.training.rows import training_rows
from tasks.training.trial import run_trial


def guess(training: Training) -> np.ndarray:
    """Probabilities that hang on the seed alone."""
    drawn = np.random.default_rng(training.seed).random((len(training.test_texts), len(training.labels)))
    return drawn / drawn.sum(axis=1, keepdims=True)


def write_rows(path: Path, word: str, n: int) -> None:
    rows = [f"{label},{word} {label} note number {i} about {i * i}" for label in ("good", "bad") for i in range(n)]
    path.write_text("\n".join(["label,text", *rows]) + "\n")


def write_study(folder: Path, **change: Any) -> Study:
    """A study of two tasks in CSV files, with rows that were imported, which asks no LLM."""
    for name in ("mood", "taste"):
        task = {"name": name, "title": name, "text": "a note", "context": "You write notes."}
        task |= {"labels": {"good": "a good note", "bad": "a bad note"}}
        task |= {"sources": [{"kind": "files", "train": f"{name}.csv"}]}
        (folder / f"{name}.yaml").write_text(json.dumps(task))
    config = {
        "name": "s",
        "tasks": ["./mood.yaml", "./taste.yaml"],
        "modes": ["real", "imported"],
        "imports": [{"name": "theirs", "task": "mood", "file": "theirs.csv"}],
        "rows_per_label": 4,
        "reference_rows": 0,
        "seeds": [0, 1],
        "subjectivity": {"judgements": "people.csv"},
        **change,
    }
    (folder / "s.yaml").write_text(json.dumps(config))
    return load_study(folder / "s.yaml")


def do_work(study: Study, settings: Settings) -> tuple[Any, ...]:
    """All parts of a study, as its flow does them, with guesses for trainings."""
    store, data, syntheses, trials = Store(settings.store_url), load_tasks(study, settings), [], []
    plan = make_plan(study.config, data, settings)
    of_task = {rows.task.name: rows for rows in data}
    jobs = list(plan.real_jobs)
    for job in plan.synthesis_jobs:
        rows = of_task[job.task.name]
        syntheses.append(synthesize(job, rows, settings))
        jobs += synthetic_jobs(study.config, rows, rows.key, syntheses[-1])
    for job in jobs:
        rows = of_task[job.task.name]
        save_data(store, rows)
        train, test = training_rows(job, rows, store), sample_test(rows, job.test_rows)
        trials.append(run_trial(job, settings, train, test, train=guess))
    trials += [classify(job, of_task[job.task.name], settings) for job in plan.untrained_jobs]
    return data, syntheses, trials


def run(study: Study, settings: Settings, **results: Any) -> None:
    """Leave what a run leaves, ``results`` changed."""
    data, syntheses, trials = do_work(study, settings)
    store = Store(settings.store_url)
    made = Results(
        created="2026-01-02T03:04:05+00:00",
        config=study.config,
        tasks=[rows.summary for rows in data],
        cells=trials,
        syntheses=syntheses,
        comparisons=compare(trials, store, study.config.tolerance),
        challenges=update_champions(trials, store),
        totals=total(syntheses, trials, Spent(), None),
    ).model_copy(update=results)
    publish.write(made, publish.report_html(made, settings), publish.folder_of("s", settings))
    keep_inputs(inputs_key(study.config, data, {item.key for item in syntheses}, trials, settings), "s", settings)
    (settings.home / "mlflow.db").touch()


def unchanged(study: Study, settings: Settings) -> Results | None:
    data = load_tasks(study, settings)
    return unchanged_results(make_plan(study.config, data, settings), data, settings)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """The folder of a study that has run, with its home in it: ``home``."""
    place = tmp_path_factory.mktemp("place")
    folder = place / "files"
    folder.mkdir()
    for name in ("mood", "taste"):
        write_rows(folder / f"{name}.csv", name, 40)
    write_rows(folder / "theirs.csv", "theirs", 20)
    (folder / "people.csv").write_text("judge,objective,subjective\nann,mood,taste\n")
    settings = Settings(home=folder / "home", data_dir=None)
    settings.home.mkdir()
    run(write_study(folder), settings)
    shutil.copytree(folder, place / "kept")
    return folder, settings


@pytest.fixture
def folder(ran: tuple[Path, Settings]) -> Iterator[Path]:
    """The folder as the run left it: what a test changes there is undone."""
    yield ran[0]
    shutil.rmtree(ran[0])
    shutil.copytree(ran[0].parent / "kept", ran[0])


@pytest.fixture
def settings(ran: tuple[Path, Settings], folder: Path) -> Settings:
    return ran[1]


NO_SERVERS = """
import sys
STARTS = ("subprocess.Popen", "os.posix_spawn", "os.fork")
def deny(event, arguments):
    if event in STARTS and "nvidia-smi" in str(arguments):  # where the installed torch can use GPUs
        return
    if event in STARTS or event in ("socket.connect", "socket.bind"):
        raise RuntimeError(f"started or reached: {arguments}")
sys.addaudithook(deny)
from flows.cli import main
sys.argv[0] = "synthgap"
main()
"""


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that may reach no server, and start nothing but the look for GPUs."""
    foreign = ("PREFECT_", "SYNTHGAP_", "MLFLOW_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return subprocess.run(
        [sys.executable, "-c", NO_SERVERS, *arguments],
        capture_output=True,
        text=True,
        env={**env, "SYNTHGAP_HOME": str(settings.home)},
        timeout=120,
        check=False,
    )


def test_an_unchanged_study_is_shown_again_and_starts_nothing(folder, settings, tmp_path) -> None:
    made = (settings.home / "studies" / "s" / "results.json").read_bytes()
    done = command(settings, "run", str(folder / "s.yaml"), "--json", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(made)
    assert "Nothing has changed since these results were made (2026-01-02T03:04:05+00:00)" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.json", "report.html"}
    assert (tmp_path / "out" / "results.json").read_bytes() == made
    assert (settings.home / "mlflow.db").stat().st_size == 0
    assert not (settings.home / "prefect").exists() and not (settings.home / "budgets").exists()


@pytest.mark.slow
def test_an_unchanged_study_runs_where_it_is_asked_for(folder, settings) -> None:
    done = command(settings, "run", str(folder / "s.yaml"), "--again")
    assert "started or reached" in done.stderr  # its server


Change = Callable[[Path, Settings], None]


def _lose_a_trial(folder: Path, settings: Settings) -> None:
    store = Store(settings.store_url)
    store.delete("trials", store.keys("trials")[0])


def _retrain(folder: Path, settings: Settings) -> None:
    """A trial that was deleted and made again by another study is the same key with other predictions."""
    store = Store(settings.store_url)
    [key, *_] = [key for key in store.keys("trials") if "config" in (store.get("trials", key) or {})]
    manifest = store.get("trials", key)
    assert manifest
    predictions = store.file("trials", key, "predictions.jsonl")
    store.put("trials", key, manifest | {"device": "another"}, {"predictions.jsonl": predictions})


def _damage_predictions(folder: Path, settings: Settings) -> None:
    [path, *_] = sorted((settings.home / "store" / "trials").glob("*/predictions.jsonl"))
    path.write_bytes(path.read_bytes()[:-20])


def _beat_a_champion(folder: Path, settings: Settings) -> None:
    store = Store(settings.store_url)
    key = store.keys(CHAMPIONS)[0]
    store.put(CHAMPIONS, key, (store.get(CHAMPIONS, key) or {}) | {"name": "somebody", "generator": "somebody"})


CHANGES: dict[str, Change] = {
    "another import": lambda folder, _: write_rows(folder / "theirs.csv", "others", 20),
    "more real rows": lambda folder, _: write_rows(folder / "taste.csv", "taste", 50),
    "another judgement": lambda folder, _: (
        (folder / "people.csv").write_text("judge,objective,subjective\nann,taste,mood\n") and None
    ),
    "a lost trial": _lose_a_trial,
    "a trial made again": _retrain,
    "damaged predictions": _damage_predictions,
    "another champion": _beat_a_champion,
    "no report": lambda _, settings: (settings.home / "studies" / "s" / "report.html").unlink(),
    "no results": lambda _, settings: (settings.home / "studies" / "s" / "results.json").unlink(),
    "results of an older version": lambda _, settings: (settings.home / "studies" / "s" / FILE).unlink(),
    "damaged inputs": lambda _, settings: (settings.home / "studies" / "s" / FILE).write_text("{}") and None,
    "other results": lambda _, settings: _append(settings.home / "studies" / "s" / "results.json"),
    "no database of MLflow's": lambda _, settings: (settings.home / "mlflow.db").unlink(),
}


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_results_depend_on_is_a_change(change: Change, folder: Path, settings: Settings) -> None:
    study = load_study(folder / "s.yaml")
    assert unchanged(study, settings)
    change(folder, settings)
    assert unchanged(study, settings) is None


def test_an_import_that_is_changed_back_is_a_change_where_the_last_run_saw_the_other(folder, settings) -> None:
    """All of its parts are stored, and the last results are those of other rows."""
    study = load_study(folder / "s.yaml")
    write_rows(folder / "theirs.csv", "others", 20)
    run(study, settings)
    write_rows(folder / "theirs.csv", "theirs", 20)
    assert unchanged(study, settings) is None


def test_another_config_is_a_change_even_where_all_its_parts_are_stored(folder, settings) -> None:
    for change in ({"tolerance": 0.05}, {"seeds": [0]}, {"seeds": [0, 1, 2]}):
        study = write_study(folder, **change)
        do_work(study, settings)
        assert unchanged(study, settings) is None
    assert unchanged(write_study(folder), settings)


def test_what_failed_is_tried_again(folder, settings) -> None:
    study = load_study(folder / "s.yaml")
    run(study, settings, failures=(Failure("judge", "no answer"),))
    assert unchanged(study, settings) is None
    last = publish.last_results("s", settings)
    unmeasured = tuple(replace(item, error="could not be measured") for item in last.syntheses)
    run(study, settings, syntheses=unmeasured)
    assert unchanged(study, settings) is None


def test_another_place_of_mlflow_is_a_change(folder, settings, tmp_path) -> None:
    study = load_study(folder / "s.yaml")
    elsewhere = Settings(home=settings.home, data_dir=None, tracking_uri="http://127.0.0.1:9")
    assert unchanged(study, elsewhere) is None


def test_an_llm_that_was_retired_since_is_a_change(folder, settings) -> None:
    study = load_study(folder / "s.yaml")
    [challenge, *_] = publish.last_results("s", settings).challenges
    remember(Store(settings.store_url), Known("theirs", "", "retired", "2026-01-03"))
    assert challenge.challenger == "theirs" and unchanged(study, settings) is None
