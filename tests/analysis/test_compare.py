import dataclasses
import json
import math

import numpy as np
import pytest

from tasks.analysis.compare import compare
from tasks.records import Trial
from tasks.store import Store

COUNTS = {"ham": 50, "spam": 50}


@pytest.fixture
def study(tmp_path):
    """Makes trials whose stored predictions are right for a given share of 400 test rows."""
    store = Store(str(tmp_path))

    def trial(mode, seed, share, **fields):
        rng = np.random.default_rng([seed, len(mode), int(1000 * share)])
        key = f"{mode}-{seed}-{fields.get('task', 't')}-{sum(fields.get('label_counts', COUNTS).values())}"
        lines = []
        for i in range(fields.pop("rows", 400)):
            label, other = ("ham", "spam") if i % 2 else ("spam", "ham")
            said = label if rng.random() < share else other
            row = {"item": f"{i:04}", "label": label, "predicted": said, "probabilities": [], "agreement": None}
            lines.append(json.dumps(row) + "\n")
        store.put("trials", key, {}, {"predictions.jsonl": "".join(lines).encode()})
        values = {
            "key": key,
            "task": "t",
            "mode": mode,
            "generator": None if mode.startswith("real") else "llm",
            "classifier": "c",
            "seed": seed,
            "status": "ok",
            "n_train": 100,
            "n_test": 400,
            "label_counts": COUNTS,
        }
        return Trial(**values | fields)

    return trial, store


def both(trial, seeds=(0, 1, 2), real=0.97, synthetic=0.7):
    return [trial("real", s, real) for s in seeds] + [trial("few_shot", s, synthetic) for s in seeds]


def test_a_clear_loss_is_told_in_points(study):
    trial, store = study
    real, few = compare(both(trial), store, 0.02)
    assert (real.mode, real.gap, real.verdict) == ("real", None, "real labels: the baseline")
    assert few.seeds == (0, 1, 2)
    assert few.gap.mean == pytest.approx(few.macro_f1.mean - real.macro_f1.mean)
    assert few.gap.low < few.gap.mean < few.gap.high < -0.15
    assert few.verdict.startswith("loses 2") and few.verdict.endswith("): buy labels")


def test_equal_models_are_as_good_when_the_tolerance_allows(study):
    trial, store = study
    assert compare(both(trial, synthetic=0.97), store, 0.2)[1].verdict == "as good as real labels within 20 points"


def test_too_few_rows_leave_it_undecided(study):
    trial, store = study
    verdict = compare(both(trial, synthetic=0.965), store, 0.001)[1].verdict
    assert verdict.startswith("undecided: could lose")
    assert verdict.endswith("more seeds or test rows needed")


def test_one_seed_is_said(study):
    trial, store = study
    few = compare(both(trial, seeds=(4,)), store, 0.02)[1]
    assert few.seeds == (4,)
    assert "one seed: the interval leaves out the chance of training" in few.verdict


def test_the_baseline_has_as_many_rows_and_the_same_seed(study):
    trial, store = study
    short = {"ham": 50, "spam": 31}
    trials = [*both(trial), trial("zero_shot", 0, 0.8, label_counts=short, n_train=81)]
    assert compare(trials, store, 0.02)[2].gap is None
    assert compare(trials, store, 0.02)[2].verdict.startswith("no gap: no finished trial on real labels with as many")
    matched = [*trials, trial("real", 0, 0.9, label_counts=short, n_train=81)]
    found = compare(matched, store, 0.02)
    assert found[2].gap is not None
    assert [(c.mode, c.n_train) for c in found] == [("real", 100), ("few_shot", 100), ("zero_shot", 81), ("real", 81)]


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
