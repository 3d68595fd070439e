"""Weights that trials leave: those of a task's best arms so far, bounded, and none where there is no room."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.config import StudyConfig
from tasks.records import Trial, TrialJob
from tasks.settings import Settings
from tasks.training.weights import FOLDER, KEPT, KeptWeights, part_of, settle

CONFIG = StudyConfig(name="s", tasks=("sms_spam",), modes=("real", "few_shot"), seeds=(3, 1, 2))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def ended(job: TrialJob, score: float | None) -> Trial:
    key = f"{job.arm.id}-{job.seed}"
    return replace(job.ended(key, {"ham": 1, "spam": 1}, 10, macro_f1=score), error=None if score else "failed")


def run(kept: KeptWeights, settings: Settings, job: TrialJob, score: float | None) -> Trial:
    """A trial from its start to its end, as a study runs it."""
    trial = ended(job, score)
    part = part_of(kept.place(job), trial.key, least=0)
    if part:
        part.mkdir(parents=True)
        (part / "model.safetensors").write_text("weights")
        if score is not None:
            settle(part)
    kept.seen(trial)
    return trial


def there(settings: Settings) -> set[str]:
    return {path.parent.name for path in (settings.home / FOLDER).rglob("model.safetensors")}


def test_only_the_first_seed_of_fine_tuned_generated_rows_is_kept(settings, make_job) -> None:
    kept = KeptWeights(CONFIG, settings)
    generated = {"mode": "few_shot", "source": "openai/a"}
    assert kept.place(make_job(**generated, seed=1))
    assert kept.place(make_job(**generated, seed=3)) is None
    assert kept.place(make_job(seed=1)) is None  # real rows are nobody's champion
    probe = {"model": "probe/embedded/minilm-l6"}
    assert kept.place(make_job(**generated, seed=1, classifier=probe)) is None


def test_the_best_arms_so_far_stay_by_their_means(settings, make_job) -> None:
    kept = KeptWeights(CONFIG, settings)
    scores = {"a": (0.5, 0.5), "b": (0.9, 0.1), "c": (0.6, 0.8), "d": (0.4, 0.4)}
    trials = {}
    for name, values in scores.items():
        for seed, score in zip((1, 2), values, strict=True):
            job = make_job(mode="few_shot", source=f"openai/{name}", seed=seed)
            trials[name, seed] = run(kept, settings, job, score)
            assert len(there(settings)) <= KEPT
    assert kept.of(trials["c", 1]) and (kept.of(trials["c", 1]) / "model.safetensors").exists()
    assert kept.of(trials["d", 1]) is None and kept.of(trials["c", 2]) is None
    kept.discard()
    assert there(settings) == set() and kept.of(trials["c", 1]) is None
    kept.discard()


def test_tasks_do_not_compete(settings, make_job) -> None:
    kept = KeptWeights(CONFIG, settings)
    for task in ("x", "y"):
        for number in range(KEPT + 1):
            job = make_job(mode="few_shot", source=f"openai/{number}", seed=1)
            run(kept, settings, replace(job, arm=replace(job.arm, task=task)), 0.5 + number / 10)
    assert len(there(settings)) == 2 * KEPT


def test_an_interrupted_run_leaves_whole_weights_to_the_next_and_no_part_counts(settings, make_job) -> None:
    jobs = [make_job(mode="few_shot", source=f"openai/{name}", seed=1) for name in "ab"]
    whole, half = (
        run(KeptWeights(CONFIG, settings), settings, job, score) for job, score in zip(jobs, (0.5, None), strict=True)
    )
    later = KeptWeights(CONFIG, settings)
    later.seen(whole)
    assert later.of(whole)
    assert later.of(half) is None
    later.discard()
    assert there(settings) == set()


def test_a_model_that_could_not_be_written_costs_no_trial(settings) -> None:
    settle(settings.home / "never-written.part")


def test_without_room_on_the_disk_none_are_left(settings) -> None:
    assert part_of(settings.home, "k", least=2**62) is None
    assert part_of(None, "k") is None
    assert part_of(settings.home / "new", "k", least=0) == settings.home / "new" / "k.part"
