import pytest

from tasks.analysis.decisions.verdict import Facts, good_enough, verdict
from tasks.records import Comparison, Gap, Interval
from tests.arms import COUNTS, make_arm


def said(gap=None, *, mode="few_shot", seeds=(0, 1, 2), n_train=100, tolerance=0.02, **facts):
    score = Interval(0.8, 0.7, 0.9)
    arm = make_arm(mode=mode, rows={} if mode == "llm_zero_shot" else COUNTS)
    comparison = Comparison(arm, seeds, score, score, gap, good_enough(gap, tolerance), "", n_train)
    known = {"rows": 400, "paired_rows": 400, "all_rows": 400, "real_trials": len(seeds)}
    return verdict(comparison, Facts(**{"trials": len(seeds), "failed": 0} | known | facts), tolerance)


def gap(low, high, seeds_needed=None, test_rows_needed=None):
    return Gap((low + high) / 2, low, high, 0.5, 0.5, None, seeds_needed, test_rows_needed)


ASTRIDE = "undecided: between a loss of 9 points and a gain of 2; "


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (gap(0.01, 0.03), "better than real labels by 2 points (1 to 3)"),
        (gap(-0.02, 0.03), "as good as real labels within 2 points"),
        (gap(-0.09, -0.03), "loses 6 points (3 to 9): buy labels"),
        (gap(-0.09, -0.01, 12), "undecided: a loss of 1 to 9 points; about 12 seeds would decide"),
        (gap(-0.09, 0.02, 12, 1234), ASTRIDE + "about 12 seeds or about 1,300 test rows would decide"),
        (gap(-0.09, 0.02, None, 100_000), ASTRIDE + "about 100,000 test rows would decide"),
        (gap(-0.09, 0.02), ASTRIDE + "neither 200 seeds nor 100,000 test rows alone would decide"),
        (
            gap(-0.09, 0.02, None, 87),
            ASTRIDE + "seeds and test rows are enough, but the gap is very close to the tolerance",
        ),
    ],
)
def test_where_the_interval_lies_and_what_would_decide(found, expected):
    assert said(found) == expected


def test_an_llm_s_one_trial_counts_with_the_seeds_of_the_real_rows():
    shared = said(gap(-0.09, -0.03), mode="llm_zero_shot", seeds=(0,), real_trials=3, paired_rows=100)
    assert shared == "loses 6 points (3 to 9); on the 100 of 400 test rows that both have"
    alone = said(gap(-0.09, -0.03), mode="llm_zero_shot", seeds=(0,), real_trials=1)
    assert alone.endswith("; one seed of the real rows: the interval does not cover differences between trainings")


def test_what_weakens_it_is_said_after_it():
    assert said(gap(-0.09, -0.03), mode="pool_only", n_train=10, real_rows=1000).endswith(
        "; with 10 rows against 1,000"
    )
    assert "; one test row only of 'ham': " in said(gap(-0.09, -0.03), single=("ham",))
    assert said(gap(-0.09, -0.03), trials=4, failed=1, error="out of memory").endswith(
        "1 of 4 trials failed: out of memory"
    )
