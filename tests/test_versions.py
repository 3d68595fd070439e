"""What every earlier version has stored is still read: ``tests/fixtures/v*``, made by ``tests/fixtures/make.py``."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.analysis.decisions.champion import Champion
from tasks.config import SubjectivityConfig
from tasks.data.load import read_data, save_data
from tasks.discovery.memory import everyone
from tasks.errors import RunError
from tasks.generation.provenance import trace
from tasks.generation.synthesize import read_rows, synthesize
from tasks.labelling.judges import judge
from tasks.labelling.panel import annotate
from tasks.llm.journal import open_journal, read_journal
from tasks.reporting.publish import last_results
from tasks.reporting.results import read_results
from tasks.results_file import SCHEMA
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.trial import find_trial, read_predictions
from tests.fixtures.make import LLM, SENTENCES, Scripted, make_data, make_job

FOLDER = Path(__file__).parent / "fixtures"
VERSIONS = sorted(path.name for path in FOLDER.glob("v*"))


@pytest.fixture(params=VERSIONS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER / request.param, tmp_path / "home"))


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(settings.store_url)


def test_the_fixtures_are_there() -> None:
    assert VERSIONS == ["v0", "v1"]


def test_journals_are_read_and_gone_on_with(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = sorted((home / "journals").glob("*.jsonl"))
    assert len(paths) == 9
    for path in paths:
        before = path.read_bytes()
        with open_journal(path, "x") as journal:
            assert len(journal.entries) == before.count(b"\n") > 0
        assert path.read_bytes() == before and journal.entries == read_journal(path)
    assert not caplog.records


def test_a_synthesis_is_found_and_traced(settings: Settings, store: Store) -> None:
    data, llm = make_data(), Scripted()
    made = synthesize(make_job(data), data, settings, complete=llm)
    assert store.keys("syntheses") == [made.key] and not llm.asked
    kept, rejected = read_rows(store, made.key)
    assert [(len(kept), len(rejected)), made.calls] == [(6, 3), 9]
    assert {row.text for row in kept} <= set(SENTENCES)
    rows = trace(store, made.key)
    assert sum(row["cost_usd"] for row in rows) == pytest.approx(0.009) and all(row["answered_at"] for row in rows)


def test_a_lost_synthesis_is_made_again_from_its_journal(settings: Settings, store: Store) -> None:
    data, llm = make_data(), Scripted()
    [key] = store.keys("syntheses")
    before = read_rows(store, key)
    shutil.rmtree(settings.home / "store")
    assert synthesize(make_job(data), data, settings, complete=llm).key == key
    assert not llm.asked and read_rows(store, key) == before


@pytest.mark.parametrize("lost", [0, 1])
def test_a_damaged_synthesis_of_schema_0_is_made_again_from_its_own_copy_of_the_journal(
    tmp_path: Path, lost: int
) -> None:
    home = Path(shutil.copytree(FOLDER / "v0", tmp_path / "home"))
    settings = Settings(home=home)
    store, data, llm = Store(settings.store_url), make_data(), Scripted()
    [key] = store.keys("syntheses")
    before, folder = read_rows(store, key), home / "store" / "syntheses" / key
    (folder / "rows.jsonl").write_bytes(b'{"text": ')
    copy = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join([b'{"call": "gl' * lost, *copy[lost:]]))
    shutil.rmtree(home / "journals")
    assert synthesize(make_job(data), data, settings, complete=llm).key == key
    assert len(llm.asked) == lost and read_rows(store, key) == before
    [journal] = (home / "journals").glob("*.jsonl")
    assert len(read_journal(journal)) == 9


def test_trials_are_read(store: Store) -> None:
    found = {key: find_trial(store, key) for key in store.keys("trials")}
    assert len(found) == 2
    for key, trial in found.items():
        assert trial is not None and trial.scores.macro_f1 == 1.0
        assert {item.predicted for item in read_predictions(store, key)} == {"glad", "sad"}


def test_answers_to_questions_are_found(settings: Settings) -> None:
    data, other, llm = make_data(), make_data("size", ("long", "short")), Scripted()
    asked = {"annotators": [LLM.model_dump()], "judges": [LLM.model_dump()], "items": 4, "comparisons": 5}
    config = SubjectivityConfig.model_validate(asked)
    assert {vote.label for vote in annotate(data, config, None, settings, complete=llm)} == {"glad", "sad"}
    assert {item.objective for item in judge([data, other], config, settings, complete=llm)} == {"size"}
    assert not llm.asked


def test_real_rows_descriptions_champions_and_llms_are_read(settings: Settings, store: Store) -> None:
    data = make_data()
    assert save_data(store, data) == data.key and store.keys("data") == [data.key]
    assert read_data(store, data.key) == data
    assert {store.record("champions", key, Champion).generator for key in store.keys("champions")} == {"fake/llm"}
    assert [known.model for known in everyone(store)] == ["fake/llm"]
    [described] = store.keys("descriptions")
    assert store.get("descriptions", described)["diversity"]


def test_results_are_read(settings: Settings) -> None:
    results = last_results("fixture", settings)
    assert results.status == "ok" and [cell.macro_f1 for cell in results.cells] == [1.0, 1.0]
    [made] = results.syntheses
    assert (made.yields.kept, made.yields.rejected) == (6, {"duplicate": 3})
    assert made.cost_per_kept_usd == pytest.approx(0.0015)
    assert results.schema_version == SCHEMA and results.totals.calls == 9


def test_a_measure_that_an_older_version_could_not_compute_is_left_out(settings: Settings) -> None:
    path = settings.home / "studies" / "fixture" / "results.json"
    content = json.loads(path.read_text())
    content["syntheses"][0]["similarity"] = {"mmd": None, "auc": 0.5}
    path.write_text(json.dumps(content))
    assert read_results(path).syntheses[0].similarity == {"auc": 0.5}


def test_results_of_a_newer_version_are_refused_in_one_line(settings: Settings) -> None:
    path = settings.home / "studies" / "fixture" / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 9}))
    with pytest.raises(
        RunError, match=r"results.json' was written by a newer synthgap \(schema 9, .* up to 2\): upgrade"
    ):
        last_results("fixture", settings)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"schema": "x"}', b"[" * 10**5])
def test_torn_results_are_one_line(settings: Settings, content: bytes) -> None:
    (settings.home / "studies" / "fixture" / "results.json").write_bytes(content)
    with pytest.raises(RunError, match=r"results.json' are damaged \(.*\); run the study again"):
        last_results("fixture", settings)


FIELDS = ("created", "config", "tasks", "cells", "syntheses", "comparisons", "totals")
WRONG = [{name: value} for name in FIELDS for value in (7, None, [1])]


@pytest.mark.parametrize("wrong", [*WRONG, {"schema": True}, {"schema": 1.0}, {"schema": None}], ids=json.dumps)
def test_results_with_a_field_of_another_kind_are_damaged(settings: Settings, wrong: dict[str, object]) -> None:
    path = settings.home / "studies" / "fixture" / "results.json"
    results = json.loads(path.read_text())
    path.write_text(json.dumps({**results, **wrong}))
    with pytest.raises(RunError, match=r"results.json' are damaged \(.*\); run the study again"):
        last_results("fixture", settings)


def test_a_newer_synthesis_is_refused_without_a_call(settings: Settings, store: Store) -> None:
    [key] = store.keys("syntheses")
    path = settings.home / "store" / "syntheses" / key / "manifest.json"
    path.write_text(json.dumps({"else": 1, "stored": {"schema": 9}}))
    before, data, llm = path.read_bytes(), make_data(), Scripted()
    with pytest.raises(RunError, match="newer synthgap"):
        synthesize(make_job(data), data, settings, complete=llm)
    assert path.read_bytes() == before and not llm.asked
