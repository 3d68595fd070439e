"""One small study on every kind of database, store and cluster: its results must not depend on them."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from flows import runners
from tasks.errors import RunError
from tasks.settings import Settings
from tasks.tracking.runs import StudyRun
from tests import postgres, s3
from tests.flows import small_study
from tests.flows.home import Up, ask
from tests.flows.small_study import Writer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    endpoint = Writer()
    yield endpoint
    endpoint.server.shutdown()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, writer: Writer) -> tuple[Path, dict, str]:
    """Home, results and stderr of the study as it runs without any setting: SQLite, a folder, threads."""
    place = tmp_path_factory.mktemp("alone")
    return place, *small_study.run(small_study.write_study(place, writer.url), small_study.environment(place))


def mlflow_runs(uri: str) -> list:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    return list(client.search_runs([client.get_experiment_by_name("small").experiment_id]))


def installed(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def refusal(place: Path, url: str, **ours: str) -> str:
    """What a study that cannot be run says in its one line."""
    process = small_study.start(small_study.write_study(place, url), small_study.environment(place, **ours))
    out, said = process.communicate(timeout=600)
    assert process.returncode in (1, 2), said
    assert (out, "Traceback" in said) == ("", False), said
    [line] = [line for line in said.splitlines() if line.startswith("synthgap: ")]
    return line


def secrets_in(place: Path, secret: str) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_on_postgres_the_results_are_those_on_sqlite(tmp_path: Path, writer: Writer, alone) -> None:
    """With MLflow's files on S3: once as `synthgap run`, then from the form of `synthgap up` on the same databases."""
    psycopg = pytest.importorskip("psycopg")
    home = tmp_path / "home"
    study = small_study.write_study(home / "studies", writer.url)
    with postgres.server("prefect", "mlflow") as address, s3.server() as reached:
        ours = {
            **reached,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{address}/prefect",
            "SYNTHGAP_TRACKING_URI": f"postgresql://{address}/mlflow",
            "SYNTHGAP_ARTIFACTS": f"s3://{s3.BUCKET}/mlflow",
        }
        results, said = small_study.run(study, small_study.environment(tmp_path, **ours))
        assert small_study.scores(results) == small_study.scores(alone[1])
        runs = mlflow_runs(ours["SYNTHGAP_TRACKING_URI"])
        assert {run.info.run_id for run in runs} > {cell["run_id"] for cell in results["cells"]}
        assert {run.info.status for run in runs} == {"FINISHED"}
        with psycopg.connect(f"postgresql://{address}/prefect") as prefect:
            [(state, count)] = prefect.execute("select state_type, count(*) from task_run group by state_type")
        assert (state, count > 8) == ("COMPLETED", True)
        older, newer = (f"PREFECT_{kind}_DATABASE_CONNECTION_URL" for kind in ("API", "SERVER"))
        ours[older] = ours.pop(newer)
        with being_up(Up(home, ours)) as place:
            run = place.ended(place.press("small"))
            assert run["state_type"] == "COMPLETED", run["state"]
            again = place.results("small")
            curves = {cell["run_id"] for cell in again["cells"]}
            assert curves.isdisjoint(cell["run_id"] for cell in results["cells"])
            for curve in curves:
                assert "macro_f1" in artifact(place, curve, "replicates.json")
        assert len(mlflow_runs(ours["SYNTHGAP_TRACKING_URI"])) == 2 * len(runs)  # each run of the study has its own
    assert [path.name for path in tmp_path.rglob("*.db")] == ["mlflow-login.db"]  # made anew at each start
    assert not (home / "mlflow-artifacts").exists()
    for secret in (postgres.PASSWORD, postgres.QUOTED, s3.SECRET):
        assert secret not in said
        assert secrets_in(tmp_path, secret) == []


@contextmanager
def being_up(place: Up) -> Iterator[Up]:
    watcher = place.up()
    try:
        yield place
    finally:
        place.run("down")
        assert watcher.wait(60) == 0


def artifact(place: Up, run_id: str, name: str) -> str:
    """A run's file as MLflow's page shows it, read by MLflow's server."""
    address = f"http://127.0.0.1:{place.mlflow}/get-artifact?path={name}&run_uuid={run_id}"
    return ask(address, login=place.login)


def test_on_s3_the_results_are_those_in_a_folder(tmp_path: Path, writer: Writer, alone) -> None:
    with s3.server() as reached:
        import boto3

        ours = {"SYNTHGAP_STORE": f"s3://{s3.BUCKET}/store", "SYNTHGAP_ARTIFACTS": f"s3://{s3.BUCKET}/mlflow"}
        environment = small_study.environment(tmp_path, **reached, **ours)
        study = small_study.write_study(tmp_path, writer.url)
        results, said = small_study.run(study, environment)
        assert small_study.scores(results) == small_study.scores(alone[1])
        pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=s3.BUCKET)
        keys = {item["Key"] for page in pages for item in page["Contents"]}
        plan = [sys.executable, "-m", "flows.cli", "plan", str(study), "--json"]
        again = subprocess.run(plan, env=environment, capture_output=True, text=True, timeout=300, check=True).stdout
    trials = {cell["key"] for cell in results["cells"]}
    assert {f"store/trials/{key}/manifest.json" for key in trials} <= keys
    assert {key.rsplit("/", 1)[1] for key in keys if key.startswith("mlflow/small/")} == {
        *("study.yaml", "results.json", "report.html"),
        *("replicates.json", "confusion.html"),
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"),
        *("input_example.json", "serving_input_example.json"),
        *("probe.json", "coefficients.npz", "synthgap_probe.py"),
    }
    assert not (tmp_path / "home" / "store").exists()
    assert not (tmp_path / "home" / "mlflow-artifacts").exists()
    assert json.loads(again)["trials"] == {"total": len(results["cells"]), "stored": len(results["cells"])}
    assert json.loads(again)["totals"]["calls"] == 0
    assert s3.SECRET not in said
    assert secrets_in(tmp_path, s3.SECRET) == []


def trial_lines(said: str) -> list[str]:
    return sorted(line.split(": ")[0].split("] ")[1] for line in said.splitlines() if " trials] trial " in line)


def check_like_threads(results: dict, said: str, alone: tuple[Path, dict, str], place: Path) -> None:
    """Scores, lines of progress and MLflow runs of a cluster's run against those of the run with threads."""
    assert small_study.scores(results) == small_study.scores(alone[1])
    assert trial_lines(said) == trial_lines(alone[2])
    assert len(trial_lines(said)) == len(results["cells"])
    runs = mlflow_runs(f"sqlite:///{place / 'home' / 'mlflow.db'}")
    curves = {cell["run_id"] for cell in results["cells"]}
    assert len(runs) == len(curves) + 1
    assert curves < {run.info.run_id for run in runs}


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_on_two_workers_the_results_are_those_of_threads(runner: str, tmp_path: Path, writer: Writer, alone) -> None:
    installed(runner, f"prefect_{runner}")
    study = small_study.write_study(tmp_path, writer.url, trainings=2)
    results, said = small_study.run(study, small_study.environment(tmp_path, SYNTHGAP_RUNNER=runner))
    check_like_threads(results, said, alone, tmp_path)


def test_many_probes_on_a_dask_cluster_are_those_of_one_process(tmp_path: Path, writer: Writer) -> None:
    installed("dask", "prefect_dask")
    grid = {"modes": ["real"], "seeds": list(range(200)), "synthesis_per": "seed", "trainings": 2, "reference_rows": 0}
    found = []
    for runner in ("threads", "dask"):
        place = tmp_path / runner
        study = small_study.write_study(place, writer.url, **grid, untrained=[], log_models=False)
        results, said = small_study.run(study, small_study.environment(place, SYNTHGAP_RUNNER=runner))
        assert len(trial_lines(said)) == len(results["cells"]) == 200
        found.append({cell["seed"]: (cell["key"], cell["macro_f1"], cell["per_label"]) for cell in results["cells"]})
    assert found[0] == found[1]
    assert len({key for key, *_ in found[0].values()}) == 200


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_study_that_is_told_to_end_leaves_nothing_of_its_cluster(runner: str, tmp_path: Path, writer: Writer) -> None:
    installed(runner, f"prefect_{runner}")
    study = small_study.write_study(tmp_path, writer.url, trainings=2)
    process = small_study.start(study, small_study.environment(tmp_path, SYNTHGAP_RUNNER=runner))
    until(lambda: any("spawn_main" in command for command in commands_of(tmp_path, but=process.pid)))
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "Traceback" not in said
    until(lambda: not commands_of(tmp_path), seconds=120)


def commands_of(place: Path, but: int | None = None) -> list[str]:
    """Processes of a study by their home folder, and not by their parents: Ray's have none in the study. Those that
    ``but`` itself has started are its own, such as Prefect's server.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("SYNTHGAP_HOME") == str(place / "home") and but not in (
                process.pid,
                process.ppid(),
            ):
                found.append(" ".join(process.cmdline()))
    return found


@contextmanager
def dask_cluster(place: Path, *options: str) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a running scheduler, and its two workers, started by hand as on machines of their own."""
    installed("dask", "prefect_dask")
    import distributed

    file, environment = place / "scheduler.json", small_study.environment(place)
    silent = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start = [sys.executable, "-m"]
    scheduling = [*start, "distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard"]
    working = [*start, "distributed.cli.dask_worker", "--nthreads=1", "--no-dashboard", *options]
    scheduler = subprocess.Popen([*scheduling, f"--scheduler-file={file}"], **silent)
    workers = [subprocess.Popen([*working, f"--scheduler-file={file}"], **silent) for _ in range(2)]
    try:
        until(lambda: file.exists() and file.read_text().endswith("}"))
        address = json.loads(file.read_text())["address"]
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=200)
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()  # a worker that is asked to end may wait for a thread that never does
            process.wait(60)


def until(condition: Callable[[], object], seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def test_a_worker_that_dies_in_a_training_costs_no_cell(tmp_path: Path, writer: Writer, alone) -> None:
    with dask_cluster(tmp_path, "--no-nanny") as (address, workers):
        ours = {"SYNTHGAP_RUNNER": "dask", "SYNTHGAP_RUNNER_ADDRESS": address}
        study = small_study.write_study(tmp_path, writer.url)
        process = small_study.start(study, small_study.environment(tmp_path, **ours))
        worker = psutil.Process(workers[0].pid)
        until(lambda: worker.children() or process.poll() is not None)  # its training process
        worker.send_signal(signal.SIGKILL)
        out, said = process.communicate(timeout=800)
    assert process.returncode == 0, said
    results = json.loads(out)
    assert small_study.scores(results) == small_study.scores(alone[1])
    curves = {cell["run_id"] for cell in results["cells"]}
    assert len(mlflow_runs(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")) == len(curves) + 1


def test_workers_that_cannot_train_are_refused_before_anything_is_asked(tmp_path: Path, writer: Writer) -> None:
    asked = len(writer.bodies)
    with dask_cluster(tmp_path, "--no-nanny") as (address, _):  # each process has a memory of its own
        elsewhere = {"SYNTHGAP_RUNNER": "dask", "SYNTHGAP_RUNNER_ADDRESS": address, "SYNTHGAP_STORE": "memory://x"}
        assert "the store 'memory://x' is another one there" in refusal(tmp_path, writer.url, **elsewhere)
    assert len(writer.bodies) == asked


def test_workers_that_are_daemons_are_refused(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, "--nanny") as (address, _):
        said = said_of_a_cluster(Settings(home=tmp_path, runner="dask", runner_address=address))
    assert "Dask worker tcp://127.0.0.1:" in said
    assert "it is a daemon" in said
    assert "--no-nanny" in said


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    installed("dask", "prefect_dask")
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "3s"}):
        said = said_of_a_cluster(Settings(home=tmp_path, runner="dask", runner_address="tcp://127.0.0.1:9"))
    assert "Dask at 'tcp://127.0.0.1:9' cannot be used" in said


def said_of_a_cluster(settings: Settings) -> str:
    with pytest.raises(RunError) as caught, runners.trainers(settings, StudyRun("1", "r"), "key", trainings=2):
        pass
    return str(caught.value)


def test_an_unknown_runner_is_one_line_that_names_the_known_ones(tmp_path: Path, writer: Writer) -> None:
    said = refusal(tmp_path, writer.url, SYNTHGAP_RUNNER="dusk")
    assert said == "synthgap: unknown SYNTHGAP_RUNNER 'dusk'. Did you mean 'dask'? Allowed: dask, ray, threads"
