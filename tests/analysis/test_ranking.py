import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis.subjectivity.ranking import rank_tasks
from tasks.errors import UserError
from tasks.records import Judgement
from tests.analysis.walk import assert_finite

TASKS = [f"t{i}" for i in range(6)]


def judge(rng, truth, n, *, judges=1, judge_sd=0.0):
    """``n`` judgements of random pairs by judges who each have a taste of their own."""
    taste = np.array(truth) + rng.normal(0, judge_sd, (judges, len(truth)))
    found = []
    for k in range(n):
        i, j = rng.choice(len(truth), 2, replace=False)
        more, less = (i, j) if rng.random() < 1 / (1 + np.exp(taste[k % judges, j] - taste[k % judges, i])) else (j, i)
        found.append(Judgement(f"judge {k % judges}", objective=TASKS[less], subjective=TASKS[more]))
    return found


def test_two_tasks_by_hand():
    judgements = [Judgement("j", "a", "b")] * 3 + [Judgement("j", "b", "a")]
    found = rank_tasks(["a", "b"], judgements)
    assert found.strengths["b"].mean == pytest.approx(np.log(3.5 / 1.5) / 2)
    half = 1.959964 / 2 * np.sqrt(1 / 3.5 + 1 / 1.5)  # of a log-odds with Jeffreys' prior, halved
    assert found.strengths["b"].high - found.strengths["b"].mean == pytest.approx(half)
    assert found.comparisons == {"a": 4, "b": 4}


def test_a_task_that_always_wins_has_a_finite_strength_and_a_wide_interval():
    found = rank_tasks(["a", "b"], [Judgement("j", "a", "b")] * 20).strengths
    assert_finite(found)
    assert found["b"].low > 0
    assert found["b"].high - found["b"].low > 2


@pytest.mark.parametrize("judges", [1, 20])
def test_intervals_of_many_tasks_are_no_wider_than_of_few(judges):
    """Some of these sizes gave NaN or millions, others on other processors."""
    for n in range(20, 61):
        rng = np.random.default_rng(n)
        tasks = [f"t{i}" for i in range(n)]
        pairs = [pair if rng.random() < 0.5 else pair[::-1] for pair in itertools.combinations(tasks, 2)]
        found = rank_tasks(tasks, [Judgement(f"j{rng.integers(judges)}", *pair) for pair in pairs]).strengths
        assert_finite(found)
        assert all(0 < one.high - one.low < 4 for one in found.values())


@pytest.mark.parametrize(("n", "judges", "judge_sd"), [(540, 1, 0.0), (60, 1, 0.0), (540, 5, 0.6), (540, 40, 0.6)])
def test_known_strengths_are_recovered_and_intervals_cover(n, judges, judge_sd):
    """Where judges differ, the truth is the strength in the eyes of all judges together, which is nearer to 0."""
    rng = np.random.default_rng(n + judges)
    tastes = [-1.5, -0.8, -0.2, 0.2, 0.8, 1.5]
    everyone = rank_tasks(TASKS, judge(rng, tastes, 20_000, judges=10_000, judge_sd=judge_sd)).strengths
    truth = [everyone[task].mean for task in TASKS] if judge_sd else tastes
    held, means = [], []
    for _ in range(100):
        found = rank_tasks(TASKS, judge(rng, tastes, n, judges=judges, judge_sd=judge_sd)).strengths
        means.append([found[task].mean for task in TASKS])
        held += [found[task].low <= true <= found[task].high for task, true in zip(TASKS, truth, strict=True)]
    assert np.mean(held) > 0.92
    assert np.mean(means, axis=0) == pytest.approx(truth, abs=0.2 if n < 100 else 0.12)


@given(st.lists(st.tuples(st.sampled_from(TASKS), st.sampled_from(TASKS), st.sampled_from("xyz")), max_size=40))
def test_any_judgements_give_numbers_of_mean_0_or_a_reason(pairs):
    judgements = [Judgement(judge, a, b) for a, b, judge in pairs if a != b]
    found = rank_tasks(TASKS, judgements)
    assert sum(found.comparisons.values()) == 2 * len(judgements)
    assert bool(found.strengths) != bool(found.note)
    if found.strengths:
        assert_finite(found)
        assert set(found.strengths) == {task for task in TASKS if found.comparisons[task]}
        assert sum(s.mean for s in found.strengths.values()) == pytest.approx(0, abs=1e-6)
        assert all(s.low < s.mean < s.high for s in found.strengths.values())


@given(st.permutations(range(12)))
def test_the_order_of_judgements_does_not_count(order):
    judgements = judge(np.random.default_rng(3), [0, 1, 2, 3, 4, 5], 12, judges=3)
    one, other = rank_tasks(TASKS, judgements), rank_tasks(TASKS, [judgements[i] for i in order])
    for task, strength in one.strengths.items():
        assert other.strengths[task].mean == pytest.approx(strength.mean)
        assert other.strengths[task].high == pytest.approx(strength.high)


def test_groups_that_were_never_compared_share_no_scale():
    found = rank_tasks(TASKS[:4], [Judgement("j", "t0", "t1"), Judgement("j", "t2", "t3")])
    assert not found.strengths
    assert "no task was compared with one of another group" in found.note


def test_a_task_without_comparisons_is_left_out():
    found = rank_tasks(TASKS[:3], [Judgement("j", "t0", "t1"), Judgement("j", "t1", "t0")])
    assert set(found.strengths) == {"t0", "t1"}
    assert found.comparisons["t2"] == 0


def test_judgements_on_other_tasks_do_not_count():
    found = rank_tasks(["t0"], [Judgement("j", "t0", "t1")])
    assert (found.strengths, found.comparisons) == ({}, {"t0": 0})
    assert found.note == "no two tasks of the study were compared"


def test_a_task_compared_with_itself_is_refused():
    with pytest.raises(UserError, match="'j' compares task 't0' with itself"):
        rank_tasks(TASKS, [Judgement("j", "t0", "t0")])


def test_opposite_judgements_turn_the_ranking_round():
    judgements = judge(np.random.default_rng(0), [0, 1, 2, 3, 4, 5], 200)
    turned = [Judgement(j.judge, j.subjective, j.objective) for j in judgements]
    one, other = rank_tasks(TASKS, judgements).strengths, rank_tasks(TASKS, turned).strengths
    assert all(one[a].mean < one[b].mean for a, b in itertools.pairwise(TASKS))
    assert all(one[task].mean == pytest.approx(-other[task].mean) for task in TASKS)
