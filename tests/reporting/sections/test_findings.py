"""The findings of the paper."""

from collections.abc import Callable
from typing import Any

import pytest

from tasks.records import Finding
from tasks.reporting.markdown import markdown
from tasks.reporting.sections.findings import table, tally

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ("ccruuu", "Of 6 findings of the paper, this study's numbers confirm 2, refute 1 and leave 3 undecided."),
        ("u", "This study's numbers leave 1 finding of the paper undecided."),
        ("uuu", "This study's numbers leave all 3 findings of the paper undecided."),
        ("", ""),
    ],
)
def test_verdicts_are_counted(results: Make, verdicts: str, said: str) -> None:
    words = {"c": "confirmed", "r": "refuted", "u": "undecided"}
    found = [Finding(f"{number}", "a claim", words[letter], "") for number, letter in enumerate(verdicts)]
    study = results().with_field("findings", tuple(found))
    assert tally(study) == said
    assert said in markdown(study)
    assert (table(study) is None) == (set(verdicts) <= {"u"}), "a table of undecided findings says no more"
