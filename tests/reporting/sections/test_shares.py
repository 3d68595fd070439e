"""Real and generated rows together."""

from collections.abc import Callable
from typing import Any

from tasks.reporting.sections import shares

Make = Callable[..., Any]


def test_mixing_curves_run_from_real_to_generated_rows(paper_results: Make) -> None:
    found = shares.mixes(paper_results(tasks=1), "embedded/smollm2-135m-instruct")["sms_spam"]
    assert [(mix.base, mix.hollow) for mix in found] == [
        ("few_shot", False),
        ("zero_shot", False),
        ("few_shot", True),
        ("zero_shot", True),
    ]
    assert [share for share, _ in found[0].points] == [0, 25, 50, 75, 90, 100]
    assert [share for share, _ in found[1].points] == [0, 90, 100]


def test_ablation_needs_the_few_real_examples(paper_results: Make, results: Make) -> None:
    rows = shares.ablations(paper_results(tasks=2), "embedded/minilm-l6", "embedded/smollm2-135m-instruct")
    assert [list(steps) for _, steps in rows] == [list(shares.ABLATION)] * 2
    assert shares.ablations(results(), "embedded/minilm-l6", "embedded/smollm2-135m-instruct") == []


def test_mixes_count_what_surely_stays_within_the_tolerance(paper_results: Make) -> None:
    (said,) = shares.replaceable(paper_results(tasks=3))
    assert "25% synthetic: all 6" in said and "90% synthetic, zero-shot: none of 6" in said
