"""The study of a new LLM: itself, those that are in the store, nobody else, and one account for all."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.config import GeneratorConfig, Study, StudyConfig, WatchConfig, load_study
from tasks.data.load import load
from tasks.discovery.memory import Known, recall, remember
from tasks.discovery.new_llm import note_broken, note_end, study_of_new_llm
from tasks.discovery.watch import sample_job
from tasks.errors import UserError
from tasks.generation.synthesize import synthesis_key
from tasks.planning.grid import synthesis_jobs
from tasks.planning.make import load_tasks, make_plan
from tasks.planning.names import resolve
from tasks.planning.unmade import expected_synthesis
from tasks.settings import Settings
from tasks.store import Store
from tests.data.conftest import make_data

WATCH = WatchConfig(name="w", study="s", providers=[{"name": "mine", "api_base": "http://127.0.0.1:1/v1"}])
NEW, NOW = "openai/new", "2026-11-30T23:59:00+00:00"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data_dir=None)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    rows = [f"{label},{label} note number {i} about {i * i}" for label in ("glad", "sad") for i in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["label,text", *rows]))
    task = {"name": "mood", "title": "Mood", "text": "a note", "context": "You write notes."}
    task |= {
        "labels": {"glad": "a glad note", "sad": "a sad note"},
        "sources": [{"kind": "files", "train": "train.csv"}],
    }
    (tmp_path / "mood.yaml").write_text(json.dumps(task))
    config = {"name": "s", "tasks": ["./mood.yaml"], "modes": ["real", "zero_shot"], "rows_per_label": 4}
    config |= {"generators": ["openai/stored", "openai/dear"], "budget_tokens": 900, "reference_rows": 0}
    (tmp_path / "s.yaml").write_text(json.dumps(config))
    return load_study(tmp_path / "s.yaml")


def store_rows(study: Study, model: str, settings: Settings, api_base: str | None = None) -> None:
    """As if the study had been run with an LLM."""
    config = study.config.model_copy(update={"generators": (GeneratorConfig(model=model, api_base=api_base),)})
    changed = Study(config=config, folder=study.folder)
    data = load(resolve(changed)[0], settings, config.pool_share, None)
    for job in synthesis_jobs(changed.config, data):
        key = synthesis_key(job, data)
        made = asdict(replace(expected_synthesis(job), key=key))
        rows = [
            {"text": f"{label} {i}", "label": label, "call": f"{label}/{i}/0"}
            for label in data.task.labels
            for i in range(4)
        ]
        Store(settings.store_url).put(
            "syntheses", key, {"synthesis": made}, {"rows.jsonl": "\n".join(map(json.dumps, rows)).encode()}
        )


def meet(model: str, settings: Settings, provider: str = "http://127.0.0.1:1/v1") -> None:
    remember(Store(settings.store_url), Known(model, provider, "triggered", "2026-11-01", attempts=1))


def chosen(study: Study, settings: Settings) -> StudyConfig:
    return study_of_new_llm(WATCH, study.config, load_tasks(study, settings), NEW, "2026-11", settings)


def models(study: StudyConfig) -> list[str]:
    return [item.model for item in study.generators]


def test_only_llms_whose_rows_are_stored_stand_beside_the_new_one(study: Study, settings: Settings) -> None:
    store_rows(study, "openai/stored", settings)
    store_rows(study, "openai/retired", settings, "http://elsewhere/v1")
    store_rows(study, "openai/found", settings, "http://127.0.0.1:1/v1")
    meet(NEW, settings)
    meet("openai/retired", settings, "http://elsewhere/v1")
    meet("openai/found", settings)
    meet("openai/never-run", settings)
    changed = chosen(study, settings)
    assert sorted(models(changed)) == ["openai/found", NEW, "openai/retired", "openai/stored"]
    assert changed.generators[-1].api_base == "http://127.0.0.1:1/v1"
    plan = make_plan(changed, load_tasks(study, settings), settings)
    assert {item.job.generator.model for item in plan.syntheses if not item.stored} == {NEW}


def test_the_grid_stays_and_the_month_pays(study: Study, settings: Settings) -> None:
    meet(NEW, settings)
    changed = chosen(study, settings)
    different = {name for name in type(changed).model_fields if getattr(changed, name) != getattr(study.config, name)}
    assert different == {"generators", "account", "budget_usd"}
    assert (changed.account, changed.budget_usd, changed.budget_tokens) == ("watch-w-2026-11", 10.0, 900)


def test_nobody_is_asked_for_opinions(study: Study, settings: Settings) -> None:
    meet(NEW, settings)
    asking = study.config.model_validate(
        {**study.config.model_dump(), "subjectivity": {"annotators": ["openai/dear"], "items": 3}}
    )
    changed = chosen(Study(config=asking, folder=study.folder), settings)
    assert changed.subjectivity is None


def test_an_llm_that_no_provider_listed_is_refused(study: Study, settings: Settings) -> None:
    with pytest.raises(UserError, match="'w' found no LLM 'openai/new'; it asks the providers http"):
        chosen(study, settings)


@pytest.mark.parametrize(
    ("limit", "errors", "status", "why", "attempts"),
    [
        ("the budget of $10 is reached", (), "stopped", "of $10 is reached; a look in the next month", 1),
        ("the budget of $10 is reached", ("no rows",), "stopped", "of $10", 1),
        ("", (), "stopped", "the budget is reached; a look", 1),
        ("", ("status 503", "no rows"), "broken", "status 503", 2),
    ],
)
def test_a_study_that_lacks_something_is_noted_with_the_reason(
    study, settings, limit, errors, status, why, attempts
) -> None:
    meet(NEW, settings)
    config, data = chosen(study, settings), load_tasks(study, settings)
    job = next(iter(synthesis_jobs(config, data[0])))
    syntheses = [replace(expected_synthesis(job), stopped=stopped) for stopped in ("", limit)]
    known = note_end(config, data, NEW, syntheses, errors, NOW, settings)
    assert known == recall(Store(settings.store_url), NEW)
    assert (known.status, known.since, known.attempts) == (status, NOW, attempts)
    assert why in known.note


def test_one_that_was_retired_meanwhile_stays_so(study: Study, settings: Settings) -> None:
    remember(Store(settings.store_url), Known(NEW, "mine", "retired", NOW, note="404"))
    assert note_broken(NEW, "404", NOW, settings) is None
    assert recall(Store(settings.store_url), NEW).status == "retired"


def test_a_study_that_generates_nothing_cannot_be_watched(study: Study) -> None:
    config = study.config.model_copy(update={"modes": ("real",)})
    with pytest.raises(UserError, match="generates no rows"):
        sample_job(config, make_data({"a": 9, "b": 9}))
