"""The numbers of the paper and of a study."""

from collections.abc import Callable
from typing import Any

from tasks.phrases import points
from tasks.reporting.sections import paper

Make = Callable[..., Any]


def test_a_sentence_has_the_losses_of_the_paper_and_of_the_study(paper_results: Make) -> None:
    results = paper_results()
    mean = {
        row.mode: row.accuracy.mean
        for row in results.comparisons
        if row.task == "ag_news" and row.classifier == "embedded/minilm-l6"
    }
    (said,) = [sentence for sentence in paper.losses(results) if sentence.startswith("News topics: few-shot")]
    assert "the paper lost 3.7 points of accuracy with BERT" in said
    assert f"this study lost {points(mean['real'] - mean['few_shot'])} (minilm-l6)" in said
