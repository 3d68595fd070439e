import dataclasses

import numpy as np
import pytest

from tasks.analysis.subjectivity.findings import find
from tasks.records import (
    Comparison,
    Curve,
    FilterCounts,
    Gap,
    Interval,
    Synthesis,
    TaskSubjectivity,
    TaskSummary,
)
from tests.arms import make_arm

TASKS = [f"t{i}" for i in range(8)]


def compared(task, mode, f1, gap=None, **fields):
    found = None if gap is None else Gap(gap, gap, gap, 0.5, 0.5)
    score = Interval(f1, f1, f1)
    generator = fields.get("generator", None if mode.startswith("real") else "llm")
    arm = make_arm(task, mode, generator, fields.get("classifier", "c"))
    return Comparison(arm, (0,), score, score, found, "none", "")


def scored(few, zero, real=True):
    """Comparisons over the tasks; ``few`` and ``zero`` are gaps by task."""
    rows = []
    for task, a, b in zip(TASKS, few, zero, strict=False):
        rows += [compared(task, "real", 0.9)] if real else []
        rows += [compared(task, mode, 0.9 + g, g if real else None) for mode, g in (("few_shot", a), ("zero_shot", b))]
    return rows


def made(task, mode, diversity, similarity=0.5, draw=0):
    measures = {"remote_clique": diversity, "chamfer": diversity}
    return Synthesis(
        f"{task}{mode}{draw}",
        task,
        mode,
        "llm",
        draw,
        "ok",
        FilterCounts(0, 0, 0, 0, 0, 0),
        {},
        0,
        0,
        0.0,
        0.0,
        diversity=measures,
        similarity={"top_5": similarity},
        source=make_arm().source,
    )


def summaries(diversity):
    return [
        TaskSummary(task, "", ("a", "b"), "", 1, 1, 1, diversity={"remote_clique": diversity, "chamfer": diversity})
        for task in TASKS
    ]


def steep(task, mean):
    return Curve(make_arm(task, "zero_shot"), (), Interval(mean, mean, mean), Interval(mean, mean, mean))


def subjective(task, strength=None, agreement=None):
    return TaskSubjectivity(
        task,
        "annotators",
        strength=None if strength is None else Interval(strength, strength, strength),
        mean_agreement=None if agreement is None else Interval(agreement, agreement, agreement),
    )


def verdicts(*args):
    return {finding.name: finding.verdict for finding in find(*args)}


RISE = [0.01 * i for i in range(8)]


def paper_like(sign):
    """A study that shows all that the paper found, or with -1 the opposite of it."""
    few = [sign * (-0.10 - r) for r in RISE]
    zero = [sign * (-0.20 - 2 * r) for r in RISE]
    syntheses = [
        made(task, mode, 0.5 + sign * (d + 0.001 * i), 0.5 + sign * (s + 0.001 * i))
        for i, task in enumerate(TASKS)
        for mode, d, s in (("few_shot", 0.1, 0.1), ("zero_shot", -0.1 + 0.01 * i, 0.0))
    ]
    curves = [steep(task, sign * (0.1 + r)) for task, r in zip(TASKS, RISE, strict=True)]
    return scored(few, zero), syntheses, summaries(0.5 + sign * 0.3), curves, [
        subjective(task, i) for i, task in enumerate(TASKS)
    ]  # fmt: skip


def test_a_study_like_the_paper_confirms_it():
    assert verdicts(*paper_like(1)) == dict.fromkeys(
        ["score", "diversity_remote_clique", "diversity_chamfer", "subjective_tasks", "subjective_texts", "closeness"],
        "confirmed",
    )


def test_the_opposite_refutes_it():
    assert set(verdicts(*paper_like(-1)).values()) == {"refuted"}


def test_the_evidence_holds_the_numbers():
    found = {finding.name: finding for finding in find(*paper_like(1))}
    assert found["score"].claim == "Classifiers score in this order: real > few-shot > zero-shot."
    assert found["score"].evidence.startswith("real − few-shot: +13.5 (+11.5 to +15.5) over 8 tasks; few-shot − zero-s")
    assert found["score"].evidence.endswith("(points of macro-F1).")
    told = found["subjective_tasks"].evidence
    assert "by comparisons of tasks: −1.00 (−1.00 to −0.90, p < 0.001) over 8 tasks" in told
    assert found["subjective_texts"].evidence.startswith("slope after synthetic − real: +13.5 (")


def test_negative_numbers_have_a_minus_sign_and_zero_has_no_sign():
    found = {finding.name: finding for finding in find(*paper_like(-1))}
    assert found["score"].evidence.startswith("real − few-shot: −13.5 (−15.5 to −11.5) over 8 tasks")
    tiny = [made(task, mode, 0.5 + d) for task in TASKS for mode, d in (("few_shot", -0.0004), ("zero_shot", 0.0))]
    rows = scored([-0.0004], [-0.1])
    score, diversity, *_ = find(rows, tiny, [], [], [])
    assert "real − few-shot: 0.0 in one task" in score.evidence
    assert "few-shot − zero-shot: 0.000 (0.000 to 0.000) over 8 tasks" in diversity.evidence


def test_one_negative_difference_refutes_an_order_and_one_undecided_leaves_it_undecided():
    lower = [-0.1 - r for r in RISE]
    assert verdicts(scored(lower, [gap + 0.05 for gap in RISE]), [], [], [], [])["score"] == "refuted"
    either = [gap + (0.1 if i % 2 else -0.1) for i, gap in enumerate(lower)]
    assert verdicts(scored(lower, either), [], [], [], [])["score"] == "undecided"


def test_a_single_task_decides_nothing_and_says_so():
    (finding,) = [f for f in find(scored([-0.1], [-0.3]), [], [], [], []) if f.name == "score"]
    assert finding.verdict == "undecided"
    assert "real − few-shot: +10.0 in one task, which gives no interval over tasks" in finding.evidence


def test_nothing_measured_is_undecided_not_an_error():
    found = {f.name: f for f in find(scored(*[[-0.1 - r for r in RISE]] * 2), [], [], [], [])}
    assert found["closeness"].verdict == "undecided"
    assert found["closeness"].evidence == "few-shot − zero-shot: not measured (in cosine)."
    assert found["subjective_tasks"].evidence.startswith("0 tasks with both a gap and a measured subjectivity")


def test_findings_without_their_modes_are_not_listed():
    only_zero = [row for row in scored([-0.1] * 8, [-0.2 - r for r in RISE]) if row.arm.mode != "few_shot"]
    found = {f.name: f for f in find(only_zero, [], [], [], [])}
    assert "closeness" not in found
    assert found["score"].claim == "Classifiers score in this order: real > zero-shot."
    assert found["score"].verdict == "confirmed"
    assert find([compared(task, "real", 0.9) for task in TASKS], [], [], [], []) == ()
    without_real = {f.name: f for f in find(scored(RISE, [r - 0.1 for r in RISE], real=False), [], [], [], [])}
    assert set(without_real) == {"score", "diversity_remote_clique", "diversity_chamfer", "closeness"}
    assert without_real["score"].claim.endswith("few-shot > zero-shot.")
    assert without_real["score"].evidence.startswith("few-shot − zero-shot: +10.0 (")


def test_other_modes_do_not_count():
    args = paper_like(1)
    more = [compared(task, mode, 0.1, -0.8) for task in TASKS for mode in ("llm_zero_shot", "majority", "imported")]
    assert find([*args[0], *more], *args[1:]) == find(*args)


def test_a_task_counts_once_however_many_cells_it_has():
    args = paper_like(1)
    again = [
        dataclasses.replace(row, arm=dataclasses.replace(row.arm, classifier=make_arm(classifier="d").classifier))
        for row in args[0]
    ]
    one, two = find(*args), find([*args[0], *again], *args[1:])
    assert [f.evidence for f in one] == [f.evidence for f in two]


def test_gaps_of_incomplete_tasks_do_not_enter_the_correlation():
    args = paper_like(1)
    rows = [row for row in args[0] if (row.arm.task, row.arm.mode) != ("t0", "zero_shot")]
    (finding,) = [f for f in find(rows, *args[1:]) if f.name == "subjective_tasks"]
    assert "over 7 tasks" in finding.evidence


def test_disagreement_serves_where_no_tasks_were_compared():
    args = paper_like(1)
    rated = [subjective(task, agreement=0.9 - r) for task, r in zip(TASKS, RISE, strict=True)]
    (finding,) = [f for f in find(*args[:4], rated) if f.name == "subjective_tasks"]
    assert finding.verdict == "confirmed"
    assert "the raters' disagreement" in finding.evidence


@pytest.mark.parametrize("name", ["subjective_texts", "subjective_tasks"])
def test_without_an_effect_both_verdicts_are_as_rare(name):
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(200):
        gaps, strengths, slopes = rng.normal(0, 0.1, (3, 8))
        rated, curves = [], [steep(task, s) for task, s in zip(TASKS, slopes, strict=True)]
        if name == "subjective_tasks":
            rated = [subjective(task, s) for task, s in zip(TASKS, strengths, strict=True)]
        seen.append(verdicts(scored(gaps, gaps), [], [], curves, rated)[name])
    assert seen.count("confirmed") <= 12
    assert seen.count("refuted") <= 12
    assert seen.count("confirmed") + seen.count("refuted") >= 2
