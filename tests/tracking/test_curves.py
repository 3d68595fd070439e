"""A study's curves in MLflow: by identity, with the size as the step, new in each run of the study."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.config import GeneratorConfig, StudyConfig
from tasks.records import Arm, Comparison, Gap, Interval, Trial, configured
from tasks.settings import Settings
from tasks.tracking import runs, views
from tasks.tracking.curves import curve_key, curves_of, log_curves, step_of
from tests.arms import make_arm
from tests.tracking.test_runs import PAIRS, client, studies, trial

COLD, HOT = (GeneratorConfig(model="openai/a", temperature=temperature) for temperature in (0.1, 1.0))
CONFIG = StudyConfig(
    name="small", tasks=("sms_spam",), modes=("real", "few_shot"), generators=(COLD, HOT), classifiers=({"model": "c"},)
)
REAL = replace(make_arm("sms_spam", "real", None), classifier=configured(CONFIG.classifiers[0]))


def sized(arm: Arm, rows: int) -> Arm:
    return replace(arm, size=rows, rows=tuple((label, rows) for label, _ in arm.rows))


def generated(generator: GeneratorConfig, rows: int = 100) -> Arm:
    return sized(replace(REAL, mode="few_shot", source=configured(generator, (COLD, HOT))), rows)


def replicates(arm: Arm, scores: list[float | None]) -> list[Trial]:
    failed: dict[str, Any] = {"status": "failed", "error": "out of memory", "accuracy": None, "per_label": {}}
    return [
        trial(seed, key=f"{arm.id}-{seed}", arm=arm, macro_f1=score, **(failed if score is None else {}))
        for seed, score in enumerate(scores)
    ]


def compared(arm: Arm, mean: float) -> Comparison:
    known = Interval(0.8, 0.7, 0.9)
    return Comparison(arm, (0, 1), known, known, Gap(mean, mean - 0.1, mean + 0.1, 0.5, 1.0), "undecided", "undecided")


def log(settings: Settings, run: runs.StudyRun, trials: list[Trial], *comparisons: Comparison) -> list[Trial]:
    return log_curves(settings, run, CONFIG, trials, comparisons, [], lambda trial: PAIRS)


def below(settings: Settings, run: runs.StudyRun) -> list[Any]:
    return list(client(settings).search_runs([run.experiment_id], f"tags.`mlflow.parentRunId` = '{run.run_id}'"))


def test_two_settings_of_one_llm_are_two_curves_and_sizes_are_one() -> None:
    short = replace(REAL, size=None, rows=(("a", 90), ("b", 100)))
    arms = [generated(COLD, 50), generated(HOT, 50), generated(COLD, 25), sized(REAL, 50), short]
    curves = curves_of([trial for arm in arms for trial in replicates(arm, [0.5])])
    assert [[step_of(arm) for arm in curve.arms] for curve in curves] == [[25, 50], [50], [50], [190]]
    names = [curve.name for curve in curves]
    assert len(set(names)) == 4 and "rows in all" in names[3]
    assert len({curve_key(curve.arm) for curve in curves}) == 4


def test_a_label_that_reads_alike_makes_no_curve_the_same() -> None:
    """Labels depend on what else a study lists; the key does not."""
    alone = replace(generated(COLD), source=configured(COLD))
    assert alone.label != generated(COLD).label
    assert curve_key(alone) == curve_key(generated(COLD))


@pytest.mark.parametrize("sizes", [(100,), (10, 100)])
def test_a_curve_has_its_sizes_as_steps_and_its_replicates_as_a_table(
    settings: Settings,
    sizes: tuple[int, ...],
) -> None:
    [run] = studies(settings, 1)
    arms = [generated(COLD, rows) for rows in sizes]
    trials = [trial for arm in arms for trial in replicates(arm, [0.6, 0.8])]
    logged = log(settings, run, trials, *[compared(arm, -arm.size / 1000) for arm in arms if arm.size])
    [curve] = below(settings, run)
    assert {one.run_id for one in logged} == {curve.info.run_id}
    assert curve.info.status == "FINISHED"
    for name, expected in (("macro_f1", [0.7] * len(sizes)), ("gap", [-size / 1000 for size in sizes])):
        history = client(settings).get_metric_history(curve.info.run_id, name)
        assert [(point.step, point.value) for point in history] == [
            (size, pytest.approx(value)) for size, value in zip(sizes, expected, strict=True)
        ]
    assert curve.data.params["generator"] == configured(COLD, (COLD, HOT)).label
    assert curve.data.params["epochs"] == str(CONFIG.classifiers[0].epochs)
    assert curve.data.tags["synthgap.verdict"] == "undecided"
    table = Path(client(settings).download_artifacts(curve.info.run_id, "replicates.json"))
    content = json.loads(table.read_text())
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    assert [(row["size"], row["seed"], row["macro_f1"]) for row in rows] == [
        (size, seed, score) for size in sizes for seed, score in ((0, 0.6), (1, 0.8))
    ]
    assert curve.data.tags["mlflow.loggedArtifacts"] == '[{"path": "replicates.json", "type": "table"}]'
    html = Path(client(settings).download_artifacts(curve.info.run_id, "confusion.html")).read_text()
    assert ">16<" in html, "both replicates of the largest size"
    charts = shown(settings, run)["compareRunCharts"]
    assert {chart["type"] for chart in charts} == {"BAR" if len(sizes) == 1 else "LINE"}


def shown(settings: Settings, run: runs.StudyRun) -> dict[str, Any]:
    from tests.tracking.test_views import unpacked

    return unpacked(client(settings).get_experiment(run.experiment_id).tags[views.TAG + views.BEST])


def test_a_failed_replicate_is_a_failure_of_its_curve_and_stands_in_the_table(settings: Settings) -> None:
    [run] = studies(settings, 1)
    log(settings, run, [*replicates(generated(COLD), [0.6, None]), *replicates(generated(HOT), [None])])
    half, none = sorted(below(settings, run), key=lambda found: -len(found.data.metrics))
    assert (half.info.status, none.info.status) == ("FAILED", "FAILED")
    assert half.data.metrics["macro_f1"] == 0.6
    assert (half.data.metrics["replicates"], half.data.metrics["replicates_failed"]) == (1, 1)
    assert "macro_f1" not in none.data.metrics
    assert none.data.tags["synthgap.error"] == "out of memory"
    table = Path(client(settings).download_artifacts(none.info.run_id, "replicates.json")).read_text()
    assert "out of memory" in table


def test_each_run_of_a_study_has_its_own_curves_and_the_view_shows_the_newest(settings: Settings) -> None:
    first, second = studies(settings, 2)
    for run in (first, second):
        log(settings, run, replicates(REAL, [0.9, 0.8]))
        assert len(below(settings, run)) == 1
        assert run.run_id in shown(settings, run)["searchFilter"]
    assert len(below(settings, first)) == 1


def test_a_view_that_somebody_changed_stays(settings: Settings) -> None:
    first, second = studies(settings, 2)
    log(settings, first, replicates(REAL, [0.9]))
    tag = views.TAG + views.BEST
    changed = json.loads(client(settings).get_experiment(first.experiment_id).tags[tag]) | {"state": "deflate;mine"}
    client(settings).set_experiment_tag(first.experiment_id, tag, json.dumps(changed))
    log(settings, second, replicates(REAL, [0.9]))
    assert json.loads(client(settings).get_experiment(first.experiment_id).tags[tag]) == changed


def test_a_fine_tuned_trial_keeps_its_own_run(settings: Settings) -> None:
    [run] = studies(settings, 1)
    own, other = replicates(REAL, [0.9, 0.8])
    logged = log(settings, run, [replace(own, run_id="its-own"), other])
    [curve] = below(settings, run)
    assert [one.run_id for one in logged] == ["its-own", curve.info.run_id]


def test_every_label_a_metric_however_many(settings: Settings) -> None:
    """77 labels and twenty sizes are more metrics than MLflow takes in one request."""
    [run] = studies(settings, 1)
    labels = {f"label {number}": {"f1": 0.5} for number in range(77)}
    sizes = range(10, 210, 10)
    log(settings, run, [replace(replicates(sized(REAL, rows), [0.5])[0], per_label=labels) for rows in sizes])
    [curve] = below(settings, run)
    assert sum(name.startswith("f1/") for name in curve.data.metrics) == 77
    assert len(client(settings).get_metric_history(curve.info.run_id, "f1/label 76")) == 20
