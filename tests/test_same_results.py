"""From what a study has stored come the numbers that came from it when it was run: ``tests/fixtures/study``."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.analysis.subjectivity.agreement import rater_agreement
from tasks.data.load import read_data
from tasks.labelling.judges import JUDGEMENTS
from tasks.labelling.judges import KIND as JUDGED
from tasks.labelling.panel import KIND as VOTED
from tasks.labelling.panel import read_votes
from tasks.records import Judgement
from tasks.reporting.publish import last_results
from tasks.reporting.results import Results
from tasks.settings import Settings
from tasks.store import Store
from tests.facts import Facts, differences, facts, read_facts
from tests.fixtures.make_study import FOLDER, conclude

CLOSE = 1e-4
"""Processors round differently; p-values move in steps of one resample."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.unpack_archive(FOLDER / "home.zip", tmp_path)
    return Settings(home=tmp_path)


@pytest.fixture
def known() -> Facts:
    return read_facts(FOLDER / "facts.json")


def plain(results: Results) -> dict[str, Any]:
    return results.model_dump(mode="json", by_alias=True)


def recomputed(results: Results, settings: Settings) -> dict[str, Any]:
    """The results of the trials that ``results`` names, computed anew from the store."""
    store = Store(settings.store_url)
    data = [read_data(store, key) for key in store.keys("data")]
    votes = {store.get(VOTED, key)["task"]: read_votes(store, key) for key in store.keys(VOTED)}
    [judged] = store.keys(JUDGED)
    found = conclude(
        results.config,
        results.tasks,
        results.syntheses,
        results.cells,
        {rows.task.name: rater_agreement(rows.test) for rows in data},
        votes,
        store.rows(JUDGED, judged, JUDGEMENTS, Judgement),
        store,
    )
    return plain(found)


def test_results_of_then_are_read_as_the_same_facts(settings: Settings, known: Facts) -> None:
    assert differences(known, facts(plain(last_results("study", settings))), 0.0) == []


def test_what_was_stored_comes_to_the_same_facts(settings: Settings, known: Facts) -> None:
    again = recomputed(last_results("study", settings), settings)
    assert differences(known, facts(again), CLOSE) == []


def test_the_fixture_has_every_kind_of_fact(known: Facts) -> None:
    sections = {name[0] for name in known}
    assert sections >= {"cells", "comparisons", "findings", "challenges", "subjectivity/correlations", "totals"}
    fields = {name[2:] for name in known}
    assert {("gap", "p_corrected"), ("slope", "mean"), ("steeper", "low"), ("spearman", "value")} <= fields
    assert {name[1].split(" · ")[1] for name in known if name[0] == "comparisons"} == {
        *("real", "real_full", "zero_shot", "few_shot", "mix/50", "pool_only", "pool_plus_synthetic"),
        *("majority", "llm_zero_shot"),
    }


def test_another_prediction_is_another_fact(settings: Settings, known: Facts) -> None:
    results = last_results("study", settings)
    [majority] = [cell for cell in results.cells if (cell.task, cell.mode) == ("mood", "majority")]
    cells = [
        replace(cell, key=majority.key) if (cell.task, cell.mode) == ("mood", "few_shot") else cell
        for cell in results.cells
    ]
    changed = results.model_copy(update={"cells": cells})
    found = differences(known, facts(recomputed(changed, settings)), CLOSE)
    assert any(line.startswith("comparisons / mood · few_shot") and "gap / mean" in line for line in found)


def test_facts_of_one_name_are_refused(settings: Settings) -> None:
    results = plain(last_results("study", settings))
    results["cells"].append(results["cells"][0])
    with pytest.raises(ValueError, match="two facts are called"):
        facts(results)
