"""What can be freed: never what results or a champion refer to, nor what would have to be paid for again."""

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks import inventory
from tasks.config import StudyConfig
from tasks.errors import RunError, UserError
from tasks.llm.calls import Answer
from tasks.llm.journal import Entry
from tasks.locks import no_study_running, only_run_of
from tasks.records import FilterCounts, Spent, Synthesis, Trial
from tasks.reporting.results import Results, to_json, total
from tasks.settings import Settings
from tasks.store import Store
from tests.arms import make_arm

OLD = time.time() - 100 * 86400


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def put(settings: Settings) -> Callable[..., None]:
    """Puts an artifact that was last used 100 days ago."""

    def artifact(kind: str, key: str, **manifest: object) -> None:
        Store(settings.store_url).put(kind, key, manifest, {"rows.jsonl": b"x" * 1000})
        for path in (Path(settings.store_url) / kind / key).iterdir():
            os.utime(path, (OLD, OLD))

    return artifact


def results(settings: Settings, study: str, syntheses: Sequence[str] = (), trials: Sequence[str] = ()) -> Path:
    folder = settings.home / "studies" / study
    folder.mkdir(parents=True)
    made = Synthesis("", "t", "few_shot", "g", 0, "ok", FilterCounts(1, 1, 1, 1, 1, 1), {}, 1, 1, 0.0, 1.0)
    trained = Trial("", make_arm(mode="real", source=None), 0, "ok", 1, 1, {})
    content = Results(
        created="2026-01-02T03:04:05+00:00",
        config=StudyConfig(name=study, tasks=("t",), modes=("real", "few_shot")),
        versions={},
        tasks=[],
        cells=[replace(trained, key=key) for key in trials],
        syntheses=[replace(made, key=key) for key in syntheses],
        comparisons=[],
        totals=total([], [], Spent(), None),
    )
    (folder / "results.json").write_text(to_json(content))
    return folder / "results.json"


def journal(settings: Settings, key: str, usd: float | None = 0.25) -> Path:
    path = settings.home / "journals" / f"{key}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = Entry("a/0/0", "p", 1, (Answer("text", "stop"),), "m", "m", 1, 1, usd, "s", 0.0, "t")
    path.write_text(json.dumps(asdict(entry)) + "\n")
    os.utime(path, (OLD, OLD))
    return path


def freed(settings: Settings, *, days: float = 30, journals: bool = False) -> set[tuple[str, str]]:
    return {(item.kind, item.key) for item in inventory.plan_pruning(settings, days, journals).items}


def test_what_results_refer_to_stays(settings: Settings, put) -> None:
    for key in ("in_use", "left"):
        put("syntheses", f"s_{key}", synthesis={"calls": 0})
        put("trials", f"t_{key}", scores={"latency_s": None})
    results(settings, "mine", ["s_in_use"], ["t_in_use"])
    assert freed(settings) == {("syntheses", "s_left"), ("trials", "t_left")}


def test_the_trials_of_a_champion_stay(settings: Settings, put) -> None:
    put("trials", "won", scores={})
    put("trials", "lost", scores={})
    put("champions", "place", name="m", trials={"0": "won"})
    assert freed(settings) == {("trials", "lost")}


def test_what_was_used_lately_stays(settings: Settings, put) -> None:
    for key in ("used", "unused"):
        put("embeddings", key, texts=3)
    Store(settings.store_url).touch("embeddings", "used")
    assert freed(settings) == {("embeddings", "unused")}
    assert freed(settings, days=1000) == set()
    assert freed(settings, days=0) == {("embeddings", "unused"), ("embeddings", "used")}


def test_an_artifact_whose_calls_are_not_in_a_journal_here_stays(settings: Settings, put) -> None:
    journal(settings, "here")
    put("syntheses", "again", synthesis={"calls": 1}, calls_key="here")
    put("syntheses", "cut", synthesis={"calls": 2}, calls_key="here")
    put("syntheses", "lost", synthesis={"calls": 3}, calls_key="elsewhere")
    put("syntheses", "older", synthesis={"calls": 3})
    put("trials", "asked", scores={"latency_s": 0.5}, n_test=1)
    put("trials", "asked_here", scores={"latency_s": 0.5}, n_test=1, calls_keys=["here"])
    put("votes", "panel", items=3)
    pruning = inventory.plan_pruning(settings, 30, False)
    assert {item.key for item in pruning.items} == {"again", "asked_here"}
    assert pruning.kept_paid == 5


def test_journals_are_freed_only_by_name_and_say_what_they_cost(settings: Settings, put) -> None:
    journal(settings, "needed")
    journal(settings, "free")
    put("syntheses", "s", synthesis={"calls": 3}, calls_key="needed")
    results(settings, "mine", ["s"])
    assert freed(settings) == set()
    pruning = inventory.plan_pruning(settings, 30, True)
    assert [(item.kind, item.key) for item in pruning.items] == [("journals", "free")]
    assert pruning.journals_usd == pytest.approx(0.25)
    journal(settings, "unknown", None)
    assert inventory.plan_pruning(settings, 30, True).journals_usd is None


def test_a_journal_goes_with_the_last_artifact_that_needs_it(settings: Settings, put) -> None:
    path = journal(settings, "calls")
    for name in ("calls.jsonl.lock", "calls.jsonl.damaged"):
        (path.parent / name).write_text("x")
        os.utime(path.parent / name, (OLD, OLD))
    put("syntheses", "s", synthesis={"calls": 1}, calls_key="calls")
    pruning = inventory.plan_pruning(settings, 30, True)
    assert {item.kind for item in pruning.items} == {"syntheses", "journals"}
    inventory.prune(settings, 30, True)
    assert list(path.parent.iterdir()) == []
    assert Store(settings.store_url).get("syntheses", "s") is None


def test_pruning_removes_what_it_said_and_nothing_else(settings: Settings, put) -> None:
    for key in ("kept", "gone"):
        put("syntheses", key, synthesis={"calls": 0})
    results(settings, "mine", ["kept"])
    store = Store(settings.store_url)
    inventory.plan_pruning(settings, 30, False)
    assert store.get("syntheses", "gone")
    inventory.prune(settings, 30, False)
    assert store.keys("syntheses") == ["kept"]
    assert store.file("syntheses", "kept", "rows.jsonl") == b"x" * 1000
    assert [path.name for path in (settings.home / "store" / "syntheses").iterdir()] == ["kept"]


def test_an_artifact_that_was_never_finished_is_freed(settings: Settings, put) -> None:
    put("syntheses", "half", synthesis={"calls": 3})
    (settings.home / "store" / "syntheses" / "half" / "manifest.json").unlink()
    assert freed(settings) == {("syntheses", "half")}


def test_an_artifact_with_a_damaged_manifest_may_hold_what_was_paid_for(settings: Settings, put) -> None:
    put("syntheses", "torn", synthesis={"calls": 3})
    path = settings.home / "store" / "syntheses" / "torn" / "manifest.json"
    path.write_text('{"synthesis": {"ca')
    os.utime(path, (OLD, OLD))
    assert freed(settings) == set()


def test_nothing_is_freed_while_a_study_runs(settings: Settings, put) -> None:
    put("syntheses", "s", synthesis={"calls": 0})
    with only_run_of("mine", settings), pytest.raises(RunError, match="'mine' is running"):
        inventory.prune(settings, 30, False)
    assert Store(settings.store_url).keys("syntheses") == ["s"]
    assert len(inventory.prune(settings, 30, False).items) == 1


def test_what_a_study_came_to_refer_to_since_it_was_shown_stays(settings: Settings, put) -> None:
    put("trials", "t", scores={})
    assert len(inventory.plan_pruning(settings, 30, False).items) == 1
    results(settings, "mine", trials=["t"])
    assert inventory.prune(settings, 30, False).items == ()


def test_a_study_that_starts_waits_for_the_end_of_a_pruning(settings: Settings) -> None:
    settings.home.mkdir()
    running = threading.Event()

    def run() -> None:
        with only_run_of("new", settings):
            running.set()

    study = threading.Thread(target=run)
    with no_study_running(settings):
        study.start()
        assert not running.wait(0.5)
    assert running.wait(60)
    study.join()


def test_results_that_cannot_be_read_hold_pruning_up(settings: Settings, put) -> None:
    put("syntheses", "s", synthesis={"calls": 0})
    results(settings, "mine", ["s"]).write_text('{"study": "mi')
    with pytest.raises((UserError, RunError), match="mine"):
        inventory.plan_pruning(settings, 30, False)


def test_an_object_store_is_pruned_by_the_age_of_its_artifacts(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, store=f"memory://{tmp_path.name}")
    store = Store(settings.store_url)
    store.put("embeddings", "e", {"texts": 1}, {"x": b"123"})
    assert freed(settings) == set()
    pruning = inventory.plan_pruning(settings, 0, False)
    assert [(item.kind, item.key) for item in pruning.items] == [("embeddings", "e")]
    inventory.prune(settings, 0, False)
    assert store.keys("embeddings") == []
    assert store.listing() == []


def test_sizes_by_kind_and_study_add_up(settings: Settings, put) -> None:
    put("syntheses", "s", synthesis={"calls": 3}, calls_key="calls")
    put("trials", "t", scores={})
    put("trials", "free", scores={})
    path = journal(settings, "calls")
    file = results(settings, "mine", ["s"], ["t"])
    found = asdict(inventory.take_inventory(settings).usage(time.time(), 30))
    kinds = {row["kind"]: row for row in found["kinds"]}
    files = [item for item in settings.home.rglob("*") if item.is_file()]
    assert found["bytes"] == sum(row["bytes"] for row in kinds.values()) == sum(item.stat().st_size for item in files)
    assert kinds["trials"]["number"] == 2
    assert 1000 <= kinds["trials"]["bytes_unreferenced"] < 2000
    assert kinds["journals"]["bytes"] == kinds["journals"]["bytes_unused"] == path.stat().st_size
    assert kinds["journals"]["bytes_unreferenced"] == 0
    assert kinds["studies"]["bytes_unused"] == 0
    sizes = {item.parent.name: 0 for item in files}
    for item in files:
        sizes[item.parent.name] += item.stat().st_size
    expected = sizes["s"] + sizes["t"] + path.stat().st_size + file.stat().st_size
    assert found["studies"] == ({"study": "mine", "created": "2026-01-02T03:04:05+00:00", "bytes": expected},)


def test_nothing_is_there_before_the_first_run(settings: Settings) -> None:
    assert inventory.take_inventory(settings).items == ()
    assert inventory.plan_pruning(settings, 0, True).items == ()


def test_results_whose_study_is_refused_today_still_protect_what_they_refer_to(settings: Settings, put) -> None:
    put("syntheses", "s")
    path = results(settings, "mine", ["s"])
    content = json.loads(path.read_text())
    content["config"]["extra_calls"] = 2  # a field of another version
    path.write_text(json.dumps(content))
    [item] = [item for item in inventory.take_inventory(settings).items if item.key == "s"]
    assert item.studies == ("mine",)
