"""Who is best, and what it takes to be better."""

import json
import random
from dataclasses import replace

import pytest

from tasks.analysis.decisions.champion import (
    Champion,
    champion_among,
    compare_with_champion,
    current_champion,
    update_champions,
)
from tasks.config import GeneratorConfig
from tasks.records import Trial, configured
from tasks.store import Store
from tests.arms import COUNTS, make_arm

ITEMS = [(f"item{i}", "ab"[i % 2]) for i in range(200)]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


def trials(store: Store, generator: str, right: float, mode: str = "few_shot", seeds: int = 8, **change) -> list[Trial]:
    """Finished trials of an LLM whose classifier is right so often."""
    made = []
    for seed in range(seeds):
        rng = random.Random(f"{generator} {mode} {seed}")
        key, lines = f"{generator}-{mode}-{seed}", []
        for item, label in change.get("items", ITEMS):
            said = label if rng.random() < right else "ba"["ab".index(label)]
            fields = {"item": item, "label": label, "predicted": said, "probabilities": [], "agreement": None}
            lines.append(json.dumps(fields))
        store.put("trials", key, {}, {"predictions.jsonl": "\n".join(lines).encode()})
        score = Trial(key, make_arm("t", mode, generator), seed, "ok", 100, 200, COUNTS, right, right)
        made.append(replace(score, n_train=change.get("n_train", 100)))
    return made


def outcomes(found) -> dict[tuple[str, str], str]:
    return {(challenge.mode, challenge.challenger): challenge.outcome for challenge in found}


def champion(store: Store, mode: str = "few_shot") -> str:
    return current_champion(store, "t", mode, "c").generator


def test_the_best_is_the_first_and_is_not_compared_with_itself(store) -> None:
    both = [*trials(store, "weak", 0.6), *trials(store, "strong", 0.9)]
    assert outcomes(update_champions(both, store))["few_shot", "strong"] == "first"
    assert champion(store) == "strong"
    assert update_champions(trials(store, "strong", 0.9), store) == ()


def test_a_better_one_takes_the_place_and_a_worse_one_does_not(store) -> None:
    update_champions(trials(store, "old", 0.7), store)
    [worse, _] = update_champions(trials(store, "bad", 0.5), store)
    assert (worse.outcome, worse.champion, champion(store)) == ("worse", "old", "old")
    assert worse.gap.high < 0
    [better, _] = update_champions(trials(store, "new", 0.95), store)
    assert (better.outcome, champion(store)) == ("better", "new")
    assert better.gap.low > 0


def test_chance_decides_nothing(store) -> None:
    update_champions(trials(store, "old", 0.8), store)
    [found, _] = update_champions(trials(store, "same", 0.81), store)
    assert (found.outcome, champion(store)) == ("undecided", "old")
    assert found.gap.low < 0 < found.gap.high


def test_modes_have_champions_of_their_own_and_one_in_all(store) -> None:
    found = update_champions([*trials(store, "x", 0.6, "zero_shot"), *trials(store, "x", 0.9)], store)
    assert outcomes(found) == {
        ("zero_shot", "x"): "first",
        ("few_shot", "x"): "first",
        ("", "few_shot · x"): "first",
        ("", "zero_shot · x"): "worse",
    }
    assert current_champion(store, "t", "", "c").mode == "few_shot"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"n_train": 400}, "400 rows, the champion on 100"),
        ({"items": ITEMS[:100]}, "different rows"),
        ({"seeds": 0}, None),
    ],
)
def test_what_cannot_be_compared_is_undecided_and_says_why(store, change, why) -> None:
    update_champions(trials(store, "old", 0.6), store)
    found = update_champions(trials(store, "new", 0.95, **change), store)
    assert [challenge.outcome for challenge in found] == (["undecided"] * 2 if why else [])
    assert all(why in challenge.note and challenge.gap is None for challenge in found)
    assert champion(store) == "old"


def test_failed_trials_and_real_rows_do_not_compete(store) -> None:
    failed = [replace(trial, status="failed", macro_f1=None) for trial in trials(store, "x", 0.9)]
    real = [replace(trial, arm=make_arm(mode="real", source=None)) for trial in trials(store, "y", 0.9, "real")]
    assert update_champions([*failed, *real], store) == ()


def test_who_is_worth_a_model_is_the_champion_of_all_modes_among_these_trials(store) -> None:
    old, new = trials(store, "old", 0.9), trials(store, "new", 0.6)
    update_champions([*old, *new], store)
    assert champion_among([*old, *new], "t", ["c"], store).generator == "old"
    assert champion_among(new, "t", ["c"], store) is None  # the champion is of another study
    assert champion_among(old, "t", ["other"], store) is None


def test_the_champion_is_known_by_mode_llm_and_classifier(store) -> None:
    update_champions(trials(store, "x", 0.9), store)
    champion = current_champion(store, "t", "", "c")
    assert compare_with_champion(("t", "", "c"), champion, champion, store) is None
    assert compare_with_champion(("t", "", "c"), champion, None, store).outcome == "first"
    other = replace(champion, classifier="d")
    found = compare_with_champion(("t", "", "d"), other, champion, store)
    assert found.outcome == "undecided"  # both say the same of every row


def test_a_champion_without_stored_trials_stays_the_champion(store) -> None:
    update_champions(trials(store, "x", 0.99), store)
    strong = current_champion(store, "t", "", "c")
    for unknown, why in (
        (replace(strong, generator="y", trials={}), "no seed"),
        (gone(strong), "no longer in the store"),
    ):
        found = compare_with_champion(("t", "", "c"), strong, unknown, store)
        assert (found.outcome, found.gap) == ("undecided", None)
        assert why in found.note


def gone(champion: Champion) -> Champion:
    return replace(champion, generator="z", trials={seed: f"lost {seed}" for seed in champion.trials})


def test_a_champion_of_a_newer_version_stays_and_is_said(store, tmp_path, caplog) -> None:
    update_champions(trials(store, "old", 0.7), store)
    newer = json.dumps({"else": 1, "stored": {"schema": 9}})
    for path in (tmp_path / "champions").rglob("manifest.json"):
        path.write_text(newer)
    assert update_champions(trials(store, "new", 0.95), store) == ()
    assert {path.read_text() for path in (tmp_path / "champions").rglob("manifest.json")} == {newer}
    assert "written by a newer synthgap (schema 9" in caplog.text


def test_two_settings_of_one_llm_compete_with_each_other(store) -> None:
    plain = trials(store, "x", 0.6)
    settings = GeneratorConfig(model="x", temperature=1.5)
    warm = replace(plain[0].arm, source=configured(settings, [settings, GeneratorConfig(model="x")]))
    better = [replace(trial, arm=warm) for trial in trials(store, "x warm", 0.95)]
    assert update_champions([*plain, *better], store)[0].challenger == "x (temperature 1.5)"
    assert current_champion(store, "t", "few_shot", "c").name == "x (temperature 1.5)"
    assert [item.outcome for item in update_champions(plain, store)] == ["worse", "worse"]


def test_a_champion_of_an_earlier_version_is_known_by_its_names(store) -> None:
    made = trials(store, "x", 0.9)
    update_champions(made, store)
    known = current_champion(store, "t", "", "c")
    assert known.is_same(replace(known, settings="")) and not known.is_same(replace(known, settings="else"))
