"""Results on disk, and the report that is made of them again."""

from pathlib import Path

import pytest

from tasks.errors import RunError
from tasks.reporting.publish import folder_of, last_results, report_html, write
from tasks.reporting.results import Failure
from tasks.settings import Settings
from tests.reporting.conftest import build


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_results_with_any_character_come_back(paper_study, settings) -> None:
    parts = {**paper_study(tasks=1), "failures": [Failure("a\u2028b", "half \ud83d")]}
    results = build(**parts)
    write(results, "<p>\u2028 half \ud83d</p>", folder_of("s", settings))
    found = last_results("s", settings)
    assert found.failures == (Failure("a\u2028b", "half \ufffd"),) and found == results
    assert {path.name for path in folder_of("s", settings).iterdir()} == {"results.json", "report.html"}


@pytest.mark.parametrize("size", [0, 1, 100, -2])
def test_cut_results_are_one_line(size, paper_results, settings) -> None:
    folder = folder_of("s", settings)
    write(paper_results(tasks=1), "", folder)
    path = folder / "results.json"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(RunError, match=r"are damaged \(.+\); run the study again"):
        last_results("s", settings)


def test_a_report_whose_rows_are_gone_says_what_to_do(paper_results, settings) -> None:
    results = paper_results(tasks=1)
    assert any(item.status == "ok" for item in results.syntheses)
    with pytest.raises(RunError, match="run the study again"):
        report_html(results, settings)
