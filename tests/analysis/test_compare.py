import dataclasses
import json
import math

import numpy as np
import pytest

from tasks.analysis.compare import compare
from tasks.config import ClassifierConfig, GeneratorConfig
from tasks.progress import counted
from tasks.records import Trial, configured
from tasks.store import Store
from tests.arms import make_arm

COUNTS = {"ham": 50, "spam": 50}


@pytest.fixture
def study(tmp_path):
    """Makes trials whose stored predictions are right for a given share of 400 test rows."""
    store = Store(str(tmp_path))

    def trial(mode, seed, share, **fields):
        rng = np.random.default_rng([seed, len(mode), int(1000 * share)])
        rows, task, classifier = fields.pop("rows", 400), fields.pop("task", "t"), fields.pop("classifier", "c")
        source = fields.pop("generator", None if mode.startswith("real") else "llm")
        key = f"{mode.replace('/', '-')}-{seed}-{share}-{rows}-{task}-{source}-{classifier}"
        lines = []
        for i in range(rows):
            label, other = ("ham", "spam") if i % 2 else ("spam", "ham")
            said = label if rng.random() < share else other
            row = {"item": f"{i:04}", "label": label, "predicted": said, "probabilities": [], "agreement": None}
            lines.append(json.dumps(row) + "\n")
        store.put("trials", key, {}, {"predictions.jsonl": "".join(lines).encode()})
        values = {
            "key": key,
            "seed": seed,
            "status": "ok",
            "n_train": 100,
            "n_test": 400,
            "label_counts": COUNTS,
        } | fields
        # real rows of another number are those beside a synthesis that fell short; others fall short of their arm
        asked, size = values["label_counts"], None if mode == "real" and values["label_counts"] != COUNTS else 50
        if mode == "zero_shot":
            asked = COUNTS
        arm = fields.get("arm") or make_arm(task, mode, source, classifier, rows=asked, size=size)
        return Trial(**values | {"arm": arm})

    return trial, store


def both(trial, seeds=(0, 1, 2), real=0.97, synthetic=0.7):
    return [trial("real", s, real) for s in seeds] + [trial("few_shot", s, synthetic) for s in seeds]


def test_a_clear_loss_is_told_in_points(study):
    trial, store = study
    real, few = compare(both(trial), store, 0.02)
    assert (real.arm.mode, real.gap, real.verdict) == (
        "real",
        None,
        "real labels: the other rows are compared with them",
    )
    assert few.seeds == (0, 1, 2)
    assert few.gap.mean == pytest.approx(few.macro_f1.mean - real.macro_f1.mean)
    assert few.gap.low < few.gap.mean < few.gap.high < -0.15
    assert few.verdict.startswith("loses 2") and few.verdict.endswith("): buy labels")


def test_equal_models_are_as_good_when_the_tolerance_allows(study):
    trial, store = study
    assert compare(both(trial, synthetic=0.97), store, 0.2)[1].verdict == "as good as real labels within 20 points"


def test_too_few_rows_leave_it_undecided(study):
    trial, store = study
    found = compare(both(trial, synthetic=0.965), store, 0.001)[1]
    assert found.verdict.startswith("undecided: ")
    assert found.verdict.endswith("would decide")


def test_one_seed_cannot_tell_what_would_decide(study):
    trial, store = study
    verdict = compare(both(trial, seeds=(0,), synthetic=0.965), store, 0.001)[1].verdict
    assert "with more seeds, a run can estimate what would decide" in verdict


def test_one_seed_is_said(study):
    trial, store = study
    few = compare(both(trial, seeds=(4,)), store, 0.02)[1]
    assert few.seeds == (4,)
    assert "one seed: the interval does not cover differences between trainings" in few.verdict


def test_the_matched_real_arm_has_as_many_rows_and_the_same_seed(study):
    trial, store = study
    short = {"ham": 50, "spam": 31}
    trials = [*both(trial), trial("zero_shot", 0, 0.8, label_counts=short, n_train=81)]
    assert compare(trials, store, 0.02)[2].gap is None
    assert compare(trials, store, 0.02)[2].verdict.startswith("no gap: no finished trial on real labels with as many")
    matched = [*trials, trial("real", 0, 0.9, label_counts=short, n_train=81)]
    found = compare(matched, store, 0.02)
    assert found[2].gap is not None
    assert [(c.arm.mode, c.n_train) for c in found] == [
        ("real", 100),
        ("few_shot", 100),
        ("zero_shot", 81),
        ("real", 81),
    ]


def test_a_reference_of_its_own_size_is_not_compared(study):
    trial, store = study
    reference = trial("real_full", 0, 0.98, label_counts={"ham": 900, "spam": 100}, n_train=1000)
    found = compare([*both(trial), reference], store, 0.02)[2]
    assert (found.gap, found.n_train) == (None, 1000)
    assert found.verdict.startswith("real labels: a reference of its own size")


def test_failed_trials_are_left_out_and_said(study):
    trial, store = study
    trials = both(trial)
    trials[4] = dataclasses.replace(trials[4], status="failed", key="", error="out of memory")
    few = compare(trials, store, 0.02)[1]
    assert few.seeds == (0, 2)
    assert few.verdict.endswith("1 of 3 trials failed: out of memory")


def test_nothing_finished_is_no_number(study):
    trial, store = study
    lost = [dataclasses.replace(t, status="failed", key="", error="out of memory") for t in both(trial)[:3]]
    (found,) = compare(lost, store, 0.02)
    assert (found.macro_f1, found.accuracy, found.gap) == (None, None, None)
    assert found.verdict == "no result: 3 trials failed: out of memory"


def test_p_values_are_corrected_over_the_study(study):
    trial, store = study
    trials = both(trial) + [trial(mode, s, 0.95, task="u") for mode in ("real", "few_shot") for s in (0, 1, 2)]
    gaps = [c.gap for c in compare(trials, store, 0.02) if c.gap]
    assert len(gaps) == 2
    assert min(g.p_corrected for g in gaps) == pytest.approx(2 * min(g.p for g in gaps))


def test_tiny_tests_give_numbers_or_nothing(study):
    trial, store = study
    for comparison in compare([trial(m, s, 0.5, rows=2) for m in ("real", "few_shot") for s in (0, 1)], store, 0.02):
        numbers = [
            *dataclasses.astuple(comparison.macro_f1),
            *(dataclasses.astuple(comparison.gap or comparison.accuracy)),
        ]
        assert all(math.isfinite(number) for number in numbers)


def test_trials_on_other_test_rows_are_refused(study):
    trial, store = study
    with pytest.raises(ValueError, match="different rows"):
        compare([trial("real", 0, 0.9), trial("few_shot", 0, 0.9, rows=300)], store, 0.02)


POOL = {"ham": 5, "spam": 5}


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("pool_only", {"generator": None, "label_counts": POOL, "n_train": 10}),
        ("pool_plus_synthetic", {"generator": "llm", "label_counts": {"ham": 55, "spam": 55}, "n_train": 110}),
    ],
)
def test_modes_about_the_number_of_rows_are_held_against_the_study_s_real_rows(study, mode, fields):
    trial, store = study
    short = [trial("real", s, 0.6, label_counts=POOL, n_train=10) for s in (0, 1)]
    found = compare([*both(trial), *short, *(trial(mode, s, 0.8, **fields) for s in (0, 1))], store, 0.02)[3]
    assert found.arm.mode == mode
    assert found.gap.mean == pytest.approx(-0.17, abs=0.05)
    assert found.against == "c trained on 100 real rows"
    assert f"; with {fields['n_train']} rows against 100" in found.verdict


def test_a_mix_or_an_import_is_held_against_as_many_rows(study):
    trial, store = study
    others = [trial(mode, s, 0.9) for mode in ("mix/50", "imported") for s in (0, 1)]
    for found in compare([*both(trial), *others], store, 0.02)[2:]:
        assert found.gap is not None
        assert "rows against" not in found.verdict


def llm(trial, share=0.9, **fields):
    values = {"classifier": "llm", "generator": "gpt", "label_counts": {}, "n_train": 0}
    return trial("llm_zero_shot", 0, share, **values | fields)


def test_an_llm_that_classifies_is_held_against_the_first_classifier_on_shared_rows(study):
    trial, store = study
    other = [trial("real", s, 0.5, classifier="d", task="t") for s in (0, 1, 2)]
    asked = llm(trial, rows=100, n_test=100, cost_usd=0.05, latency_s=1.5)
    found = compare([*both(trial), *other, asked], store, 0.02)[-1]
    assert found.against == "c trained on 100 real rows"
    assert found.seeds == (0,)
    assert found.gap.low <= found.gap.mean <= found.gap.high
    assert "on the 100 of 400 test rows that both have" in found.verdict
    assert (found.cost_usd_per_1000, found.latency_s) == (pytest.approx(0.5), 1.5)


def test_too_few_shared_rows_are_no_gap(study):
    trial, store = study
    found = compare([*both(trial), llm(trial, rows=19, n_test=19)], store, 0.02)[2]
    assert found.gap is None
    assert found.verdict.startswith("no gap: 19 test rows that both have, 20 are needed")


def test_an_llm_without_real_rows_has_a_score_and_no_gap(study):
    trial, store = study
    (found,) = compare([llm(trial)], store, 0.02)
    assert found.macro_f1.low < found.macro_f1.mean < found.macro_f1.high
    assert (found.gap, found.against, found.cost_usd_per_1000) == (None, "", None)
    assert found.verdict == "no gap: no finished trial on real labels"


def test_the_majority_is_compared_without_advice(study):
    trial, store = study
    found = compare([*both(trial), llm(trial, 0.5, generator=None, classifier="majority")], store, 0.02)[2]
    assert found.verdict.startswith("loses ")
    assert "buy labels" not in found.verdict


def test_few_test_rows_and_single_labels_are_said(study):
    trial, store = study
    few = compare([trial(m, s, 0.5, rows=19) for m in ("real", "few_shot") for s in (0, 1)], store, 0.02)
    assert "19 test rows: too few for an interval, 20 are needed" in few[0].verdict
    assert few[1].gap is None
    rare = compare([trial("real", s, 0.5, rows=1) for s in (0, 1)], store, 0.02)[0]
    assert "one test row only of 'spam'" in rare.verdict


def test_seeds_that_do_not_differ_give_numbers(study):
    trial, store = study
    trials = [
        dataclasses.replace(t, seed=s) for t in (trial("real", 0, 0.9), trial("few_shot", 0, 0.6)) for s in (0, 1)
    ]
    gap = compare(trials, store, 0.02)[1].gap
    assert gap.effect is None
    assert gap.low < gap.mean < gap.high < 0
    assert gap.seeds_needed is None


def test_two_settings_of_one_llm_or_classifier_are_two_comparisons(study):
    trial, store = study
    warm = configured(GeneratorConfig(model="llm", temperature=1.5))
    long = configured(ClassifierConfig(model="c", epochs=9))
    plain = both(trial)
    hot = [trial("few_shot", s, 0.8) for s in (0, 1, 2)]
    slow = [trial(mode, s, share) for mode, share in (("real", 0.9), ("few_shot", 0.6)) for s in (0, 1, 2)]
    trials = [
        *plain,
        *(dataclasses.replace(t, arm=dataclasses.replace(t.arm, source=warm)) for t in hot),
        *(dataclasses.replace(t, arm=dataclasses.replace(t.arm, classifier=long)) for t in slow),
    ]
    real, few, other, real_long, few_long = compare(trials, store, 0.02)
    assert [item.macro_f1.mean for item in (few, other)] == pytest.approx([0.7, 0.8], abs=0.05)
    assert other.gap.mean == pytest.approx(other.macro_f1.mean - real.macro_f1.mean)
    assert few_long.gap.mean == pytest.approx(few_long.macro_f1.mean - real_long.macro_f1.mean)


def test_rows_of_two_sizes_are_two_comparisons(study):
    trial, store = study
    few = {"ham": 10, "spam": 10}
    trials = [*both(trial)]
    for mode, source, share in (("real", None, 0.9), ("few_shot", "llm", 0.6), ("pool_plus_synthetic", "llm", 0.8)):
        arm = make_arm("t", mode, source, rows=few, size=10)
        trials += [trial(mode, s, share, label_counts=few, n_train=20, arm=arm) for s in (0, 1, 2)]
    found = compare(trials, store, 0.02)
    assert [(item.arm.mode, item.arm.size) for item in found] == [
        ("real", 50), ("few_shot", 50), ("real", 10), ("few_shot", 10), ("pool_plus_synthetic", 10),
    ]  # fmt: skip
    for item, real in ((found[1], found[0]), (found[3], found[2]), (found[4], found[2])):
        assert item.gap.mean == pytest.approx(item.macro_f1.mean - real.macro_f1.mean)


def test_arms_that_share_their_real_rows_are_compared_as_each_would_be_alone(study):
    trial, store = study
    seeds = (0, 1, 2)
    real = [trial("real", s, 0.9) for s in seeds]
    arms = [[trial("few_shot", s, share, generator=f"llm {share}") for s in seeds] for share in (0.6, 0.8, 0.85)]
    together = compare([*real, *(one for arm in arms for one in arm)], store, 0.02)
    alone = [compare([*real, *arm], store, 0.02)[1] for arm in arms]
    for one, other in zip(together[1:], alone, strict=True):
        assert one.macro_f1 == other.macro_f1 and one.accuracy == other.accuracy
        assert dataclasses.replace(one.gap, p_corrected=0.0) == dataclasses.replace(other.gap, p_corrected=0.0)


def test_a_long_comparison_says_how_far_it_is(caplog):
    clock = iter([0.0, 1.0, 4.9, 5.0, 6.0, 19.9, 20.0])
    assert list(counted("abcdef", 6, "comparing arms", lambda: next(clock))) == list("abcdef")
    assert [record.getMessage() for record in caplog.records] == [
        "comparing arms: 2 of 6 done, 5 s so far",
        "comparing arms: 5 of 6 done, 20 s so far",
    ]
