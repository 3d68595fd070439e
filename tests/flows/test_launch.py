"""The way to a run: a study is locked, loaded once, planned once, checked and run; what breaks it is one message."""

import errno
import json
from collections.abc import Sequence
from pathlib import Path

import cloudpickle
import httpx
import pytest

from flows.launch import clear_faults, launch, loaded, start
from flows.study import study as study_flow
from tasks.config import Study, load_study
from tasks.errors import RunError, UserError
from tasks.planning.plan import Plan
from tasks.records import TaskData
from tasks.settings import Settings
from tests.flows.conftest import Listener


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data_dir=None)


def write_study(folder: Path, **change: object) -> Study:
    """A study over two tasks in CSV files that asks no LLM."""
    for name in ("mood", "taste"):
        rows = [f"{label},{name} {label} note number {i} about {i * i}" for label in ("good", "bad") for i in range(40)]
        (folder / f"{name}.csv").write_text("\n".join(["label,text", *rows]))
        task = {"name": name, "title": name, "text": "a note", "context": "You write notes."}
        task |= {"labels": {"good": "a good note", "bad": "a bad note"}}
        task |= {"sources": [{"kind": "files", "train": f"{name}.csv"}]}
        (folder / f"{name}.yaml").write_text(json.dumps(task))
    config = {"name": "s", "tasks": ["./mood.yaml", "./taste.yaml"], "modes": ["real"], "rows_per_label": 4, **change}
    (folder / "s.yaml").write_text(json.dumps(config))
    return load_study(folder / "s.yaml")


def what_is_run(plan: Plan, data: Sequence[TaskData], settings: Settings) -> tuple[Plan, Sequence[TaskData]]:
    return plan, data


def test_a_run_gets_the_one_plan_and_the_rows_that_were_loaded_once(tmp_path, settings, log: Listener) -> None:
    plan, data = launch(write_study(tmp_path), settings, what_is_run)
    assert [rows.task.name for rows in data] == ["mood", "taste"]
    assert {planned.job.data_key for planned in plan.trials} == {rows.key for rows in data}
    assert (log.count("loaded mood:"), log.count("loaded taste:"), log.count("planned study s:")) == (1, 1, 1)


def test_another_study_over_the_same_rows_loads_nothing_again(tmp_path, settings, log: Listener) -> None:
    study = write_study(tmp_path)
    fewer = study.config.model_copy(update={"seeds": (0,)})
    with loaded(study, settings) as data:
        plan, _ = start(fewer, data, settings, what_is_run)
    assert {planned.job.seed for planned in plan.trials} == {0}
    assert (log.count("loaded "), log.count("planned ")) == (2, 1)


def test_a_study_that_runs_is_not_started_a_second_time(tmp_path, settings) -> None:
    study = write_study(tmp_path)

    def start_again(plan: Plan, data: Sequence[TaskData], settings: Settings) -> object:
        return launch(study, settings, what_is_run)

    with pytest.raises(RunError, match="'s' is running already"):
        launch(study, settings, start_again)
    launch(study, settings, what_is_run)  # the lock is free again


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"modes": ["real", "few_shots"]}, UserError, "few_shots"),
        ({"modes": ["zero_shot"], "generators": ["openai/gpt-4o-mini"]}, RunError, "needs OPENAI_API_KEY"),
    ],
)
def test_nothing_runs_that_cannot(tmp_path, settings, monkeypatch, change, error, words) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(error, match=words):
        launch(write_study(tmp_path, **change), settings, lambda *_: pytest.fail("it was run"))


def test_a_disk_that_gets_full_in_a_run_is_one_message(tmp_path, settings) -> None:
    def fill(plan: Plan, data: Sequence[TaskData], settings: Settings) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match="free some space, then run again"):
        launch(write_study(tmp_path), settings, fill)


def test_a_worker_of_a_cluster_is_sent_the_flow_by_its_name() -> None:
    """Prefect pickles the flow for each stage that a worker runs; one that held rows would send them all."""
    sent = cloudpickle.dumps(study_flow)
    assert len(sent) < 20_000
    assert cloudpickle.loads(sent).name == "study"


HOME = Settings(home=Path("/somewhere/home"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_disk_that_refuses_names_the_path(number: int) -> None:
    with pytest.raises(RunError, match=r"'/a/file'.*free some space, then run again"), clear_faults(HOME):
        raise OSError(number, "refused", "/a/file")


def test_a_write_that_does_not_say_where_names_the_home_folder() -> None:
    with pytest.raises(RunError, match="'/somewhere/home': No space left"), clear_faults(HOME):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_prefect_server_that_is_gone_is_one_message() -> None:
    with pytest.raises(RunError, match=r"Prefect at .*connection attempts failed"), clear_faults(HOME):
        raise httpx.ConnectError("All connection attempts failed")


@pytest.mark.parametrize(
    "error", [UserError("yours"), RunError("ours"), FileNotFoundError(2, "no", "x"), KeyError("x")]
)
def test_anything_else_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, clear_faults(HOME):
        raise error
    assert caught.value is error
