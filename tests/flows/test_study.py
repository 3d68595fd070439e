"""A whole study as a user runs it: real Prefect, real MLflow on SQLite, real trainings; the LLM is a local endpoint."""

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from logging import INFO, WARNING
from pathlib import Path

import pytest

from tests.endpoint import Endpoint, chat
from tests.flows.small_study import WORDS, write_study
from tests.generation.conftest import WORDS as OTHER_WORDS

pytestmark = pytest.mark.slow


class Writer(Endpoint):
    """Writes a text of the label that the prompt describes, never the same twice."""

    def __init__(self) -> None:
        super().__init__((200, {}, {}))
        self.delay = 0.0

    def reply(self, body: dict) -> tuple[int, dict[str, str], object]:
        time.sleep(self.delay)
        said = json.dumps(body["messages"])
        if "name of one label" in said or "Answer with A or B" in said:
            label = "not_sarcastic" if "sarcastic" in said else "spam" if "free" in said.lower() else "ham"
            return chat("A" if "A or B" in said else label, model="writer")
        label = "spam" if "commercial" in json.dumps(body["messages"][1]) else "ham"
        return chat(f"{WORDS[label]} {len(self.bodies)} {body['seed']}", model="writer")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home and one Prefect home for the module: the server's database is made once."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def writer() -> Writer:
    endpoint = Writer()
    yield endpoint
    endpoint.server.shutdown()


def environment(place: Path) -> dict[str, str]:
    ours = {
        "SYNTHGAP_HOME": str(place / "home"),
        "PREFECT_HOME": str(place / "prefect"),
        "OPENAI_API_KEY": "sk-planted-key",
    }
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}, **ours}


def synthgap(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(place), timeout=600, check=False)


@pytest.fixture(scope="module")
def first(place: Path, writer: Writer) -> dict:
    """Results of the first run."""
    done = synthgap(place, "run", str(write_study(place, writer.url)), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_cell_of_the_grid_has_a_score(first: dict) -> None:
    cells = {(cell["arm"]["mode"], cell["seed"]): cell for cell in first["cells"]}
    trained = {(mode, seed) for mode in ("real", "few_shot", "real_full") for seed in (0, 1)}
    assert set(cells) == {*trained, ("majority", 0)}
    assert all(cell["status"] == "ok" and 0 <= cell["macro_f1"] <= 1 for cell in cells.values())
    assert cells["real", 0]["n_train"] == cells["few_shot", 0]["n_train"] == 12
    assert cells["real", 0]["n_test"] == 40


def test_the_ledger_of_rows_adds_up(first: dict, writer: Writer) -> None:
    [synthesis] = first["syntheses"]
    steps = [synthesis["yields"][step] for step in ("requested", "answered", "parsed", "valid", "unique", "kept")]
    assert steps == sorted(steps, reverse=True)
    assert synthesis["yields"]["kept"] == 12
    assert synthesis["calls"] == len(writer.bodies)
    assert synthesis["cost_usd"] is None  # nobody knows this model's price
    assert synthesis["similarity"]["top_5"] > 0


def test_a_gap_is_paired_and_has_its_interval(first: dict) -> None:
    [gap] = [row["gap"] for row in first["comparisons"] if row["arm"]["mode"] == "few_shot"]
    assert gap["low"] <= gap["mean"] <= gap["high"]
    assert 0 < gap["p"] <= 1


def test_prefect_keeps_what_ends_and_no_step(first, place: Path) -> None:
    logs = _rows(place, "select level, message, task_run_id from log where name = 'synthgap'")
    assert {level for level, _, _ in logs} == {INFO, WARNING}  # the price is unknown
    ends = [message for level, message, stage in logs if level == INFO and stage]
    assert sum(message.startswith("trial sms_spam · ") for message in ends) == 7  # with the majority
    assert [message for message in ends if message.startswith("synthesize ")] == [
        "synthesize sms_spam · few_shot · openai/writer · draw 0: 12/12 (12 kept of 12)"
    ]
    assert any("1 syntheses, 0 of 7 trials" in message for _, message, stage in logs if not stage)


def test_prefect_shows_progress_and_the_comparisons(first, place: Path) -> None:
    shown = _rows(place, "select type, key, data, description from artifact")
    progress = {key: (float(data), words) for kind, key, data, words in shown if kind == "progress"}
    assert progress["synthgap-small-progress"] == (100, "1 of 1 syntheses, 7 of 7 trials")
    assert progress[None][0] == 100 and "few_shot" in progress[None][1]
    [table] = [json.loads(data) for kind, _, data, _ in shown if kind == "table"]
    rows = json.loads(table) if isinstance(table, str) else table
    assert len(rows) == len(first["comparisons"])
    assert [key for kind, key, *_ in shown if kind == "markdown"] == [
        "synthgap-small"
    ]  # no link: MLflow has no address


def test_a_second_run_asks_nothing_trains_nothing_and_has_its_own_curves(first, place: Path, writer: Writer) -> None:
    asked = len(writer.bodies)
    study = str(write_study(place, writer.url))
    shown = synthgap(place, "run", study, "--json")
    assert json.loads(shown.stdout) == first
    assert shown.stderr.startswith("Nothing has changed since these results were made")
    done = synthgap(place, "run", study, "--json", "--again")
    again = json.loads(done.stdout)
    assert len(writer.bodies) == asked
    assert again["totals"]["cells_stored"] == again["totals"]["cells"] == 7
    assert "rror" not in done.stderr
    assert [cell["macro_f1"] for cell in again["cells"]] == [cell["macro_f1"] for cell in first["cells"]]
    curves = {cell["run_id"] for cell in again["cells"]}
    assert len(curves) == 4 and curves.isdisjoint(cell["run_id"] for cell in first["cells"])
    assert again["models"] == []  # the champion is registered


LOGGING = """
import logging, sys
from flows.cli import main
from tasks.progress import LOGGER
LOGGER.setLevel(logging.DEBUG)
LOGGER.addHandler(logging.FileHandler(sys.argv.pop()))
main()
"""


def test_a_run_loads_its_rows_and_plans_its_grid_once(first, place: Path, writer: Writer) -> None:
    log = place / "run.log"
    command = [sys.executable, "-c", LOGGING, "run", str(write_study(place, writer.url)), "--again", str(log)]
    subprocess.run(command, env=environment(place), stdout=subprocess.DEVNULL, timeout=600, check=True)
    said = log.read_text().splitlines()
    assert sum(line.startswith("loaded sms_spam:") for line in said) == 1
    assert sum(line.startswith("planned study small:") for line in said) == 1
    assert any(line.startswith("trial sms_spam") for line in said)


def test_prefect_keeps_the_config_of_a_run_and_none_of_its_rows(first, place: Path) -> None:
    for (parameters,) in _rows(place, "select parameters from flow_run where name = 'small'"):
        assert set(json.loads(parameters)) == {"config", "folder"}
        assert len(parameters) < 5000


def test_a_plan_after_the_run_has_nothing_left_to_do(first, place: Path, writer: Writer) -> None:
    plan = json.loads(synthgap(place, "plan", str(write_study(place, writer.url)), "--json").stdout)
    assert plan["trials"] == {"total": 7, "stored": 7}
    assert plan["totals"]["calls"] == 0


def test_more_rows_ask_only_for_the_additional_ones(first, place: Path, writer: Writer) -> None:
    asked = len(writer.bodies)
    done = synthgap(place, "run", str(write_study(place, writer.url, rows_per_label=8)), "--json")
    assert json.loads(done.stdout)["syntheses"][0]["yields"]["kept"] == 16
    assert 4 <= len(writer.bodies) - asked <= 8


def test_the_report_is_one_file_without_a_foreign_address(first, place: Path) -> None:
    html = (place / "home" / "studies" / "small" / "report.html").read_text()
    assert "sms_spam" in html or "SMS" in html
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', html)


def test_a_key_is_nowhere_on_disk(first, place: Path) -> None:
    leaks = [path for path in place.rglob("*") if path.is_file() and b"sk-planted-key" in path.read_bytes()]
    assert leaks == []


def test_all_kinds_of_modes_share_what_they_can(first, place: Path, writer: Writer) -> None:
    theirs = [
        f"{label},{' '.join(random.Random(f'{label} {i}').choices(OTHER_WORDS, k=8))}"
        for label in WORDS
        for i in range(9)
    ]
    (place / "theirs.csv").write_text("\n".join(["label,text", *theirs]) + "\n")
    study = write_study(
        place,
        writer.url,
        name="modes",
        modes=["real", "few_shot", "pool_only", "pool_plus_synthetic", "mix/50", "imported"],
        imports=[{"name": "theirs", "task": "sms_spam", "file": "theirs.csv", "cost_usd": 2}],
        pool_rows_per_label=5,
        reference_rows=0,
        seeds=[0],
    )
    asked = len(writer.bodies)
    done = synthgap(place, "run", str(study), "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    cells = {cell["arm"]["mode"]: cell for cell in results["cells"]}
    assert {mode: cell["n_train"] for mode, cell in cells.items()} == {
        "real": 12,
        "few_shot": 12,
        "pool_only": 10,
        "pool_plus_synthetic": 22,
        "mix/50": 12,
        "imported": 12,
        "majority": cells["majority"]["n_train"],
    }
    keys = {item["mode"]: item["key"] for item in results["syntheses"]}
    assert keys["few_shot"] == keys["pool_plus_synthetic"] == keys["mix/50"] != keys["imported"]
    assert results["totals"]["calls"] == len(writer.bodies) - asked
    assert all(item["similarity"] for item in results["syntheses"])
    assert {item["arm"]["mode"] for item in results["comparisons"] if item["gap"]} >= {"few_shot", "mix/50", "imported"}
    exported = synthgap(place, "export", str(study), "--out", str(place / "out"))
    assert exported.returncode == 0, exported.stderr
    folders = sorted(path.name for path in (place / "out").iterdir())
    assert folders == ["sms_spam-few_shot-openai_writer-draw0", "sms_spam-imported-theirs-draw0"]
    assert "Imported, not written in this study" in (place / "out" / folders[1] / "README.md").read_text()


def test_annotators_judges_and_an_llm_that_classifies_are_part_of_it(first, place: Path, writer: Writer) -> None:
    llm = {"model": "openai/writer", "api_base": writer.url}
    asked = {"annotators": [llm], "judges": [llm], "personas": ["You are one.", "You are two."], "items": 24}
    change = {
        "tasks": ["sms_spam", "headline_sarcasm"],
        "untrained": ["llm_few_shot"],
        "untrained_rows": 24,
        "seeds": [0],
    }
    study = write_study(place, writer.url, name="asked", subjectivity={**asked, "comparisons": 4}, **change)
    before = len(writer.bodies)
    done = synthgap(place, "run", str(study), "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    tasks = {task["task"]: task for task in results["subjectivity"]["tasks"]}
    assert {task["source"] for task in tasks.values()} == {"annotators"}
    assert all(task["mean_agreement"]["mean"] == 1 and task["items"] == 24 for task in tasks.values())
    # a judge that always says A decides no pair
    assert all("no two tasks of the study were compared" in task["note"] for task in tasks.values())
    asked = [cell for cell in results["cells"] if cell["arm"]["mode"] == "llm_few_shot"]
    assert all(cell["n_test"] == 24 and cell["latency_s"] > 0 and cell["run_id"] for cell in asked)
    assert results["totals"]["calls"] >= len(writer.bodies) - before
    assert results["failures"] == []


def test_a_failed_cell_is_recorded_and_the_others_finish(first, place: Path, writer: Writer) -> None:
    broken = {"model": "openai/gone", "api_base": "http://127.0.0.1:9/v1", "timeout": 1}
    generators = [{"model": "openai/writer", "api_base": writer.url}, broken]
    done = synthgap(place, "run", str(write_study(place, writer.url, name="holed", generators=generators)), "--json")
    results = json.loads(done.stdout)
    assert done.returncode == 1
    assert results["status"] == "failed"
    failed = [cell for cell in results["cells"] if cell["status"] == "failed"]
    assert {cell["arm"]["source"]["name"] for cell in failed} == {"openai/gone"}
    assert all("127.0.0.1:9" in cell["error"] and cell["macro_f1"] is None for cell in failed)
    assert len(results["cells"]) - len(failed) == 7
    states = (
        sqlite3.connect(place / "prefect" / "prefect.db").execute("select name, state_type from flow_run").fetchall()
    )
    assert ("holed", "FAILED") in states


def test_a_run_that_is_killed_goes_on_where_it_stopped(first, place: Path, writer: Writer) -> None:
    study = write_study(place, writer.url, name="killed", synthesis_per="seed", rows_per_label=10)
    command = [sys.executable, "-m", "flows.cli", "run", str(study)]
    before, writer.delay = len(writer.bodies), 0.3
    try:
        run = subprocess.Popen(command, env=environment(place), stderr=subprocess.DEVNULL, start_new_session=True)
        _until(lambda: len(writer.bodies) > before + 20)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    finally:
        writer.delay = 0.0
    journaled = sum(len(path.read_text().splitlines()) for path in (place / "home" / "journals").glob("*.jsonl"))
    done = synthgap(place, "run", str(study), "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [synthesis["yields"]["kept"] for synthesis in results["syntheses"]] == [20, 20]
    assert journaled > 0
    prompts = [(json.dumps(body["messages"]), body["seed"]) for body in writer.bodies[before:]]
    assert len(prompts) - len(set(prompts)) <= 16 * 2  # only calls in flight at the kill are asked for again


def _rows(place: Path, query: str) -> list[tuple]:
    """What Prefect's database holds after the first run."""
    with contextlib.closing(sqlite3.connect(place / "prefect" / "prefect.db")) as database:
        return database.execute(query).fetchall()


def _until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)
