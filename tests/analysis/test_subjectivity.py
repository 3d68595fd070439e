import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis.compare import compare
from tasks.analysis.subjectivity.rating import rate_tasks
from tasks.config import StudyConfig
from tasks.records import FilterCounts, Judgement, Rating, Spent, Synthesis, TaskSummary, Trial
from tasks.reporting.results import Results, total
from tasks.reporting.section import AnalysisInputs
from tasks.reporting.sections import analysed, curves, subjectivity
from tasks.store import Store
from tests.analysis.walk import assert_finite
from tests.arms import COUNTS, make_arm

MODES = ("real", "few_shot", "zero_shot")


def build(store, names, *, items=300, seeds=2, classifiers=("c",)):
    """Trials of tasks that get harder for raters and, more so, for classifiers trained on synthetic rows."""
    rng = np.random.default_rng(0)
    trials, ratings = [], {}
    for t, name in enumerate(names):
        clear = rng.beta(6 - t * 5 / len(names), 0.6, items)
        right = rng.random((items, 5)) < 0.5 + clear[:, None] / 2
        labels = ["ab"[i % 2] for i in range(items)]
        ratings[name] = [
            Rating(f"{i:04}", f"r{k}", labels[i] if right[i, k] else "ba"[i % 2])
            for i in range(items)
            for k in range(5)
        ]
        for mode in MODES:
            for classifier in classifiers:
                for seed in range(seeds):
                    ok = rng.random(items) < 0.95 - 0.25 * MODES.index(mode) * (1 - clear)
                    key = f"{name}-{mode}-{classifier}-{seed}"
                    said = [
                        {"item": f"{i:04}", "label": labels[i], "predicted": labels[i] if ok[i] else "ba"[i % 2]}
                        for i in range(items)
                    ]
                    rows = [json.dumps(row | {"probabilities": [], "agreement": None}) + "\n" for row in said]
                    store.put("trials", key, {}, {"predictions.jsonl": "".join(rows).encode()})
                    arm = make_arm(name, mode, None if mode == "real" else "llm", classifier)
                    trials.append(Trial(key, arm, seed, "ok", 100, items, label_counts=COUNTS))
    return trials, ratings


def summaries(names):
    return [TaskSummary(name, name, ("a", "b"), "", 1, 1, 1, {"remote_clique": 0.9, "chamfer": 0.5}) for name in names]


def syntheses(names):
    return [
        Synthesis(
            f"{name}{mode}", name, mode, "llm", 0, "ok", FilterCounts(9, 9, 9, 9, 9, 9), COUNTS, 0, 0, None, 0.0,
            diversity={"remote_clique": 0.8 - 0.1 * i, "chamfer": 0.4 - 0.1 * i}, similarity={"top_5": 0.5 - 0.1 * i},
            source=make_arm().source,
        )
        for name in names
        for i, mode in enumerate(MODES[1:])
    ]  # fmt: skip


def judged(names, n=200):
    rng = np.random.default_rng(1)
    found = []
    for k in range(n):
        i, j = sorted(rng.choice(len(names), 2, replace=False))
        more, less = (j, i) if rng.random() < 0.85 else (i, j)
        found.append(Judgement(f"judge {k % 5}", names[less], names[more]))
    return found


def analyse(store, trials, names, *, agreement=None, ratings=None, judgements=(), compared=None):
    """What the sections of the report find in a study of these trials."""
    results = Results(
        created="2026-01-01T00:00:00+00:00",
        config=StudyConfig(
            name="study", tasks=names, modes=MODES, generators=["llm"], classifiers=["embedded/minilm-l6"]
        ),
        tasks=summaries(names),
        cells=trials,
        syntheses=syntheses(names),
        comparisons=compare(trials, store, 0.02) if compared is None else compared,
        totals=total([], trials, Spent(), None),
    )
    return analysed(results, AnalysisInputs(store, agreement or {}, ratings or {}, judgements))


def test_a_whole_study(tmp_path):
    store, names = Store(str(tmp_path)), [f"t{i}" for i in range(6)]
    trials, ratings = build(store, names)
    found = analyse(store, trials, names, ratings=ratings, judgements=judged(names))
    for section in (subjectivity.SECTION, curves.SECTION):  # results have null for what is no number
        assert_finite(section.compute(found, AnalysisInputs(store, {}, ratings, judged(names))))
    assert [item.task for item in found.subjectivity.tasks] == names
    assert [item.source for item in found.subjectivity.tasks] == ["annotators"] * 6
    assert [item.raters for item in found.subjectivity.tasks] == [5.0] * 6
    assert sorted(item.rank for item in found.subjectivity.tasks) == [1, 2, 3, 4, 5, 6]
    assert found.subjectivity.tasks[0].rank < found.subjectivity.tasks[-1].rank
    assert found.subjectivity.tasks[0].krippendorff_alpha > found.subjectivity.tasks[-1].krippendorff_alpha
    assert found.subjectivity.tasks[0].fleiss_kappa == pytest.approx(
        found.subjectivity.tasks[0].krippendorff_alpha, abs=0.01
    )
    assert found.subjectivity.tasks[0].mean_agreement.low > found.subjectivity.tasks[-1].mean_agreement.high
    assert all(item.note == "" for item in found.subjectivity.tasks)
    assert len(found.subjectivity.curves) == 18
    assert len(found.subjectivity.correlations) == 4
    assert all(c.spearman is not None and c.kendall is not None for c in found.subjectivity.correlations)
    assert len(found.findings) == 6


def test_the_data_s_own_raters_come_first(tmp_path):
    store, names = Store(str(tmp_path)), ["t0", "t1"]
    trials, ratings = build(store, names)
    shares = {f"{i:04}": 0.6 if i % 3 else 1.0 for i in range(300)}
    own, panel = analyse(store, trials, names, agreement={"t0": shares}, ratings=ratings).subjectivity.tasks
    assert (own.source, own.items, own.raters, own.krippendorff_alpha, own.fleiss_kappa) == (
        "raters", 300, None, None, None,
    )  # fmt: skip
    assert own.mean_agreement.mean == pytest.approx(np.mean(list(shares.values())))
    assert own.note.startswith("no alpha or kappa: the data states how many of its raters agree")
    assert panel.source == "annotators"
    assert sorted([own.rank, panel.rank]) == [1, 2]
    assert all("another kind of raters rated other tasks" in item.note for item in (own, panel))


def test_a_study_without_any_raters_gives_reasons_only(tmp_path):
    store, names = Store(str(tmp_path)), ["t0", "t1", "t2"]
    trials, _ = build(store, names)
    found = analyse(store, trials, names)
    for item in found.subjectivity.tasks:
        assert (item.source, item.items, item.mean_agreement, item.strength, item.rank) == ("", 0, None, None, None)
        assert item.note == (
            "no agreement: the data has no raters, and no annotators gave a test row two votes; "
            "no strength: no two tasks of the study were compared"
        )
    assert all(curve.points == () and curve.note for curve in found.subjectivity.curves)
    assert all(c.spearman is None and c.note for c in found.subjectivity.correlations)
    verdicts = {finding.name: finding.verdict for finding in found.findings}
    assert verdicts["subjective_tasks"] == verdicts["subjective_texts"] == "undecided"


def test_a_study_that_trained_nothing(tmp_path):
    found = analyse(Store(str(tmp_path)), [], ["t0"])
    assert (found.subjectivity.curves, found.subjectivity.correlations, found.findings) == ((), (), ())
    assert found.subjectivity.tasks[0].rank is None


votes = st.lists(
    st.tuples(st.sampled_from("wxyz"), st.integers(0, 4), st.integers(0, 3), st.sampled_from("abc")), max_size=40
)
pairs = st.lists(st.tuples(st.sampled_from("wxyz"), st.sampled_from("wxyz"), st.sampled_from("jk")), max_size=12)


@given(votes, pairs)
def test_ranks_are_a_permutation_and_no_number_is_nan(rated, compared):
    names = list("wxyz")
    ratings = {name: [Rating(f"{i}", f"r{k}", label) for task, i, k, label in rated if task == name] for name in names}
    judgements = [Judgement(judge, a, b) for a, b, judge in compared if a != b]
    found = rate_tasks(names, {}, ratings, judgements)
    assert_finite(found)
    ranks = [item.rank for item in found if item.rank is not None]
    assert sorted(ranks) == list(range(1, len(ranks) + 1))
    for item in found:
        assert (item.strength is None) == ("no strength" in item.note)
        assert item.rank is None or item.strength or item.mean_agreement
        assert item.mean_agreement is None or 0 <= item.mean_agreement.low <= item.mean_agreement.high <= 1


@pytest.mark.slow
def test_a_large_study_is_fast_enough(tmp_path):
    store, names = Store(str(tmp_path)), [f"t{i}" for i in range(10)]
    trials, ratings = build(store, names, items=1000, seeds=5, classifiers=("c", "d", "e"))
    started = time.process_time()
    analyse(store, trials, names, ratings=ratings, judgements=judged(names, 540), compared=())
    assert time.process_time() - started < 60  # 10 to 20 s of one quiet core
