"""MLflow on a real SQLite database and behind a real server: runs of studies and trials, found, never orphaned."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from filelock import FileLock

from tasks.config import ClassifierConfig, StudyConfig, TaskConfig
from tasks.errors import RunError
from tasks.progress import LOGGER
from tasks.records import Comparison, Gap, Interval, Trial, TrialJob
from tasks.reporting.results import Failure, Results, Totals
from tasks.settings import Settings
from tasks.tracking import runs, views
from tasks.tracking.trials import log_trial
from tests import postgres
from tests.arms import make_arm
from tests.mlflow_server import Server

CONFIG = StudyConfig(name="small", tasks=("sms_spam",), modes=("real", "few_shot"))
TASK = TaskConfig.model_validate(
    {
        "name": "sms_spam",
        "title": "SMS spam",
        "text": "a text message",
        "context": "You write text messages.",
        "labels": {"ham": "a normal message", "spam": "an advert"},
        "sources": [{"kind": "files", "train": "train.csv"}],
    }
)
ARM = make_arm("sms_spam", "few_shot", "embedded/smollm2-135m-instruct", "embedded/minilm-l6")
FEW, REAL = make_arm("sms_spam", "few_shot", "g"), make_arm("sms_spam", "real", None)
PAIRS = [("ham", "ham")] * 8 + [("spam", "ham"), ("spam", "spam")]


def trial(seed: int = 0, **changes: Any) -> Trial:
    scores = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 5.0}
    made = Trial(
        key=f"k{seed}",
        arm=ARM,
        seed=seed,
        status="ok",
        n_train=100,
        n_test=10,
        label_counts={"ham": 50, "spam": 50},
        macro_f1=0.8 + seed / 1000,
        accuracy=0.9,
        per_label={"ham": scores, "spam & such/": scores},
        seconds=12.5,
    )
    return replace(made, **changes)


def job(seed: int = 0) -> TrialJob:
    classifier = ClassifierConfig(model="embedded/minilm-l6")
    counts = {"ham": 50, "spam": 50}
    return TrialJob(ARM, TASK, seed, 1000, classifier, "d" * 32, "s" * 32, 0, counts)


def client(settings: Settings) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=settings.mlflow_uri)


def children(settings: Settings, experiment: str) -> list[Any]:
    found = client(settings).search_runs([experiment], "tags.`synthgap.key` LIKE '%'")
    return sorted(found, key=lambda run: str(run.info.run_name))


def studies(settings: Settings, number: int, name: str = "small") -> list[runs.StudyRun]:
    """Runs of one study, one after the other."""
    experiment = runs.prepare(settings, name)
    return [runs.StudyRun(experiment, runs.start_study(settings, experiment, CONFIG)) for _ in range(number)]


def outcome(*cells: Trial, failed: bool = False) -> Results:
    known, gap = Interval(0.8, 0.7, 0.9), Gap(-0.1, -0.2, 0.1, 0.5, 1.0)
    return Results(
        created="2026-01-01T00:00:00+00:00",
        config=CONFIG,
        tasks=[],
        cells=cells or [trial()],
        syntheses=[],
        comparisons=[
            Comparison(REAL, (0,), known, known, None, "none", ""),
            Comparison(FEW, (0,), known, known, gap, "undecided", "undecided"),
        ],
        failures=[Failure("judge", "no answer")] if failed else [],
        totals=Totals(12, 0, 0, None, 3.5, 1, 0, 0),
    )


def test_a_wait_for_the_run_that_prepares_the_database_is_said(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lock = FileLock(settings.home / "mlflow.lock", thread_local=False)
    lock.acquire()

    class Release(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lock.release()

    said = Release()
    LOGGER.addHandler(said)
    try:
        assert runs.prepare(settings, "small", first=0.1)
    finally:
        LOGGER.removeHandler(said)
        lock.release()
    assert "waiting for MLflow's database, which another run is preparing" in caplog.text


def test_a_study_from_start_to_end(settings: Settings) -> None:
    experiment = runs.prepare(settings, "small")
    parent = runs.start_study(settings, experiment, CONFIG)
    run_id = log_trial(settings, runs.StudyRun(experiment, parent), trial(), job(), lambda: PAIRS)
    runs.finish_study(settings, parent, outcome(), "<!doctype html>", "**note**")

    mlflow = client(settings)
    assert mlflow.get_experiment(experiment).tags["mlflow.experimentKind"] == "custom_model_development"
    child = mlflow.get_run(run_id)
    assert child.info.run_name == "sms_spam · few_shot · smollm2-135m-instruct · minilm-l6 · seed 0"
    assert child.data.tags["synthgap.cell"] == trial().cell
    assert child.info.status == "FINISHED"
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.data.metrics["macro_f1"] == 0.8
    assert child.data.metrics["f1/ham"] == 0.85
    assert child.data.params["mode"] == "few_shot"
    assert child.data.params["epochs"] == str(ClassifierConfig(model="m").epochs)
    assert child.info.end_time - child.info.start_time >= 12_500
    inputs = {item.tags[0].value: item.dataset for item in child.inputs.dataset_inputs}
    assert inputs["training"].digest == "s" * 32
    assert inputs["testing"].name == "sms_spam test"
    files = {item.path for item in mlflow.list_artifacts(run_id)}
    assert files == {"predictions.csv", "confusion.csv", "confusion.html"}
    matrix = Path(mlflow.download_artifacts(run_id, "confusion.csv")).read_text()
    assert "ham,8,0" in matrix and "spam,1,1" in matrix

    study = mlflow.get_run(parent)
    assert study.info.status == "FINISHED"
    assert study.data.metrics["gap/sms_spam/few_shot"] == -0.1
    assert "cost_usd" not in study.data.metrics
    assert study.data.params["rows_per_label"] == "100"
    assert {item.path for item in mlflow.list_artifacts(parent)} == {"study.yaml", "results.json", "report.html"}


def test_views_are_there_and_stay_as_somebody_changed_them(settings: Settings) -> None:
    experiment = runs.prepare(settings, "small")
    curves = views.TAG + views.CURVES
    client(settings).set_experiment_tag(experiment, curves, "changed")
    client(settings).delete_experiment_tag(experiment, views.TAG + views.TRIALS)
    runs.prepare(settings, "small")
    tags = client(settings).get_experiment(experiment).tags
    assert set(views.common_views()) <= set(tags)
    assert tags[curves] == "changed"


def test_pages_are_those_of_a_server_and_show_no_password(tmp_path: Path) -> None:
    run = runs.StudyRun("7", "abc")
    assert runs.study_urls(Settings(home=tmp_path), run) == {}
    pages = runs.study_urls(Settings(home=tmp_path, tracking_uri="https://me:hunter2@mlflow.example/"), run)
    assert all(page.startswith("https://mlflow.example/#/experiments/7/runs") for page in pages.values())
    assert pages["Report"].partition("?")[0].endswith("/runs/abc/artifacts/report.html")


def test_a_trial_that_a_later_run_finds_in_the_store_keeps_its_run(settings: Settings) -> None:
    first, later = studies(settings, 2)
    ids = [[log_trial(settings, run, trial(seed), job(seed)) for seed in range(3)] for run in (first, later)]
    assert ids[0] == ids[1] and len(set(ids[0])) == 3
    found = children(settings, first.experiment_id)
    assert {run.data.tags["mlflow.parentRunId"] for run in found} == {first.run_id}


def test_same_rows_in_two_cells_are_two_runs(settings: Settings) -> None:
    [run] = studies(settings, 1)
    for mode in ("real", "real_full"):
        log_trial(settings, run, trial(arm=replace(ARM, mode=mode)), job())
    assert len(children(settings, run.experiment_id)) == 2


def test_a_failed_trial_is_failed_and_its_success_is_a_run_of_the_study_that_had_it(settings: Settings) -> None:
    first, second = studies(settings, 2)
    broken = trial(status="failed", error="out of memory", macro_f1=None, accuracy=None, per_label={}, n_train=0)
    log_trial(settings, first, broken, job())
    [failed] = children(settings, first.experiment_id)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["synthgap.error"] == "out of memory"
    assert "macro_f1" not in failed.data.metrics
    good = client(settings).get_run(log_trial(settings, second, trial(), job()))
    assert (good.info.status, good.data.tags["mlflow.parentRunId"]) == ("FINISHED", second.run_id)
    assert client(settings).get_run(failed.info.run_id).info.status == "FAILED"


def test_a_run_that_a_dead_worker_began_is_gone_on_with(settings: Settings) -> None:
    """A worker of a cluster, which did not begin the study."""
    experiment = runs.prepare(settings, "small")
    elsewhere = client(settings).create_run(experiment).info.run_id
    tags = {"synthgap.key": trial().key, "synthgap.cell": trial().cell, "mlflow.parentRunId": elsewhere}
    begun = client(settings).create_run(experiment, tags=tags).info.run_id
    assert log_trial(settings, runs.StudyRun(experiment, elsewhere), trial(), job()) == begun
    assert client(settings).get_run(begun).info.status == "FINISHED"


def test_threads_do_not_mix_parents(settings: Settings) -> None:
    places = [study for name in ("one", "two") for study in studies(settings, 1, name)]

    together = Barrier(6)  # trials that end at the same moment and share their data sets

    def log(number: int) -> str:
        together.wait(60)
        return log_trial(settings, places[number % 2], trial(number), job(number))

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(log, range(24)))) == 24
    for place in places:
        found = children(settings, place.experiment_id)
        assert len(found) == 12
        assert {run.data.tags["mlflow.parentRunId"] for run in found} == {place.run_id}


def test_orphans_of_dead_processes_are_ended_and_others_left(settings: Settings) -> None:
    experiment = runs.prepare(settings, "small")
    host = socket.gethostname()
    mlflow = client(settings)
    owners = {"dead": f"{host}/999999/1", "recycled": f"{host}/{os.getpid()}/1", "elsewhere": "other-host/1/1"}
    made = {
        name: mlflow.create_run(experiment, tags={"synthgap.process": owner}).info.run_id
        for name, owner in owners.items()
    }
    made["stranger"] = mlflow.create_run(experiment).info.run_id
    made["mine"] = runs.start_study(settings, experiment, CONFIG)
    runs.start_study(settings, experiment, CONFIG)
    status = {name: mlflow.get_run(run_id).info.status for name, run_id in made.items()}
    assert status == {
        "dead": "KILLED",
        "recycled": "KILLED",
        "elsewhere": "RUNNING",
        "stranger": "RUNNING",
        "mine": "RUNNING",
    }


def test_a_failed_study_ends_failed(settings: Settings) -> None:
    experiment = runs.prepare(settings, "small")
    parents = [runs.start_study(settings, experiment, CONFIG) for _ in range(2)]
    runs.finish_study(settings, parents[0], outcome(failed=True), "")
    runs.fail_study(settings, parents[1], "no rows")
    assert [client(settings).get_run(parent).info.status for parent in parents] == ["FAILED", "FAILED"]


def test_a_study_deleted_in_the_ui_is_brought_back(settings: Settings) -> None:
    experiment = runs.prepare(settings, "small")
    client(settings).delete_experiment(experiment)
    assert runs.prepare(settings, "small") == experiment
    assert runs.start_study(settings, experiment, CONFIG)


def test_no_server_is_one_clear_message_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://someone:hunter2@127.0.0.1:{probe.getsockname()[1]}"
    started = time.monotonic()
    with pytest.raises(RunError, match="no MLflow server answers") as caught:
        runs.prepare(Settings(home=Path("/nonexistent"), tracking_uri=uri), "small")
    assert time.monotonic() - started < 5
    assert "hunter2" not in str(caught.value)


def test_a_postgres_that_does_not_answer_is_one_clear_message_at_once(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    uri = f"postgresql://{postgres.USER}:{postgres.QUOTED}@127.0.0.1:9/mlflow"
    started = time.monotonic()
    with pytest.raises(RunError, match=r"^MLflow at 'postgresql://127\.0\.0\.1:9/mlflow': .*refused") as caught:
        runs.prepare(Settings(home=tmp_path, tracking_uri=uri), "small")
    assert time.monotonic() - started < 30
    assert "pg-secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, not a database, not a database" * 99)
    with pytest.raises(RunError, match=r"mlflow\.db"):
        runs.prepare(Settings(home=tmp_path), "small")


@pytest.mark.slow
def test_two_processes_prepare_one_database(tmp_path: Path) -> None:
    code = "import pathlib, sys; from tasks.settings import Settings; from tasks.tracking import runs\n"
    code += "print(runs.prepare(Settings(home=pathlib.Path(sys.argv[1])), 'small'))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ids = [process.communicate(timeout=120)[0] for process in started]
    assert ids[0] == ids[1] != ""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server")
    try:
        yield server.ready()
    finally:
        server.end()


@pytest.fixture
def server(running: Server) -> str:
    return running.uri


@pytest.mark.slow
def test_through_a_real_server(tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(home=tmp_path / "home", tracking_uri=server)
    experiment = runs.prepare(settings, "small")
    for _ in range(2):
        parent = runs.start_study(settings, experiment, CONFIG)
        for seed in range(3):
            run_id = log_trial(settings, runs.StudyRun(experiment, parent), trial(seed), job(seed), lambda: PAIRS)
        runs.finish_study(settings, parent, outcome(), "<!doctype html>")
    assert len(children(settings, experiment)) == 3
    assert "ham,8,0" in Path(client(settings).download_artifacts(run_id, "confusion.csv")).read_text()
    address = f"{server}/#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"
    assert runs.run_url(settings, experiment, run_id) == address
    assert capsys.readouterr().out == "", "stdout belongs to `synthgap run --json`"


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_costs_time_and_nothing_else(
    tmp_path: Path, running: Server, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path / "home", tracking_uri=running.uri)
    experiment = runs.prepare(settings, "small")
    parent = runs.start_study(settings, experiment, CONFIG)

    def log(seed: int) -> str:
        time.sleep(seed / 4)  # some end before the outage, some in it, some at its edge
        return log_trial(settings, runs.StudyRun(experiment, parent), trial(seed), job(seed), lambda: PAIRS)

    with ThreadPoolExecutor(4) as pool:
        logged = [pool.submit(log, seed) for seed in range(16)]
        time.sleep(1)
        running.end(signal.SIGKILL)
        time.sleep(15)
        running.start()
        assert len({future.result() for future in logged}) == 16
    runs.finish_study(settings, parent, outcome(), "<!doctype html>")
    found = client(settings).search_runs([experiment])
    states = [(run.data.tags.get("synthgap.cell", "parent"), run.info.status) for run in found]
    assert sorted(status for _, status in states if status != "KILLED") == ["FINISHED"] * 17
    assert len({cell for cell, status in states if status == "FINISHED"}) == 17
    said = [record.getMessage() for record in caplog.records if record.name == "synthgap"]
    assert len([line for line in said if "does not answer" in line]) == 1
    assert len([line for line in said if "answers again" in line]) == 1


def test_a_run_that_was_made_twice_is_ended_with_its_study(settings: Settings) -> None:
    experiment = runs.prepare(settings, "small")
    parent = runs.start_study(settings, experiment, CONFIG)
    tags = client(settings).get_run(parent).data.tags
    twin = client(settings).create_run(experiment, tags={"synthgap.process": tags["synthgap.process"]}).info.run_id
    stranger = client(settings).create_run(experiment).info.run_id
    runs.finish_study(settings, parent, outcome(), "")
    ended = [client(settings).get_run(run).info.status for run in (parent, twin, stranger)]
    assert ended == ["FINISHED", "KILLED", "RUNNING"]
