"""A result of the analysis is a section: one list, and it is seen in every place."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tasks.records import Curve, CurvePoint, Interval
from tasks.reporting.markdown import markdown
from tasks.reporting.report import render
from tasks.reporting.results import Results, read_results, to_json
from tasks.reporting.section import AnalysisInputs, Panel, Section, Table
from tasks.reporting.sections import SECTIONS, analysed, summary
from tasks.reporting.terminal import study_view
from tasks.store import Store
from tasks.tracking.contents import study_metrics, study_tags
from tests.reporting.conftest import build

Make = Callable[..., Any]


@dataclass(frozen=True)
class Spread:
    """How far the scores of one task lie apart."""

    task: str
    range: float


def spreads(results: Results) -> tuple[Spread, ...]:
    return results.analysis("spread", tuple[Spread, ...]) or ()


def compute(results: Results, inputs: AnalysisInputs) -> list[Spread]:
    scores = {task.name: [cell.macro_f1 for cell in results.cells if cell.task == task.name] for task in results.tasks}
    known = {task: [score for score in found if score is not None] for task, found in scores.items()}
    return [Spread(task, max(found) - min(found)) for task, found in known.items() if found]


SPREAD = Section(
    name="spread",
    title="How far scores lie apart",
    compute=compute,
    heading="Spread of scores",
    sentences=lambda results: [f"{item.task}: <{item.range:.2f}>" for item in spreads(results)],
    table=lambda results: Table(("task", "range"), [(item.task, f"{item.range:.3f}") for item in spreads(results)]),
    figures=lambda results: [Panel("A figure", "<svg id='spread'></svg>")] if spreads(results) else [],
    metrics=lambda results: {f"spread/{item.task}": item.range for item in spreads(results)},
    tags=lambda results: {"synthgap.spread": str(len(spreads(results)))},
)


@pytest.fixture
def sections() -> tuple[Section, ...]:
    return (*SECTIONS, SPREAD)


@pytest.fixture
def found(results: Make, sections: tuple[Section, ...], tmp_path: Path) -> Results:
    """Read back from the file, as `synthgap report` does."""
    path = tmp_path / "results.json"
    path.write_text(to_json(analysed(results(), AnalysisInputs(Store(str(tmp_path))), sections)), encoding="utf-8")
    return read_results(path)


def shown(results: Results, sections: tuple[Section, ...]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(study_view(results, sections))
    return capture.get()


def test_a_new_section_is_seen_in_every_place(found: Results, sections: tuple[Section, ...]) -> None:
    spread = next(item for item in spreads(found) if item.task == "sms_spam")
    said, number = f"sms_spam: <{spread.range:.2f}>", f"{spread.range:.3f}"
    terminal, page, text = shown(found, sections), render(found, {}, sections), markdown(found, sections)
    assert "Spread of scores:" in terminal and said in terminal and number in terminal
    assert "<h2>How far scores lie apart</h2>" in page and f"<td>{number}</td>" in page and "id='spread'" in page
    assert said not in page and said.replace("<", "&lt;").replace(">", "&gt;") in page
    assert "**Spread of scores**" in text and f"| sms\\_spam | {number} |" in text
    assert study_metrics(found, sections)["spread/sms_spam"] == spread.range
    assert study_tags(found, sections)["synthgap.spread"] == "2"


def test_a_section_without_anything_is_left_out(results: Make, sections: tuple[Section, ...]) -> None:
    assert "How far scores" not in render(results(), {}, sections)
    assert "Spread of scores" not in shown(results(), sections) + markdown(results(), sections)


def test_sections_have_names_of_their_own_and_a_template_each() -> None:
    folder = Path(render.__code__.co_filename).parent / "sections"
    names = [section.name for section in SECTIONS]
    assert len(set(names)) == len(names)
    assert {path.stem for path in folder.glob("*.html")} == set(names)


def test_a_part_that_is_stored_in_a_field_is_typed(results: Make, tmp_path: Path) -> None:
    found = analysed(results(tasks=3), AnalysisInputs(Store(str(tmp_path))))
    assert found.paper and {number.task for number in found.paper} == {"ag_news", "headline_sarcasm"}
    assert [item.task for item in found.subjectivity.tasks] == [task.name for task in found.tasks]
    assert {curve.arm for curve in found.subjectivity.curves} == {row.arm for row in found.comparisons}
    assert not found.analyses


def test_a_section_of_a_field_s_name_replaces_no_field(results: Make, tmp_path: Path) -> None:
    before = results()
    cells = Section(name="cells", title="Cells", compute=lambda results, inputs: [{"cells": len(results.cells)}])
    found = analysed(before, AnalysisInputs(Store(str(tmp_path))), [cells])
    assert found.cells == before.cells and found.analyses["cells"] == ({"cells": len(before.cells)},)


def test_a_section_computes_from_those_before_it(results: Make, tmp_path: Path) -> None:
    first = Section(name="first", title="First", compute=lambda results, inputs: [1, 2])
    second = Section(name="second", title="Second", compute=lambda results, inputs: sum(results.analyses["first"]))
    found = analysed(results(), AnalysisInputs(Store(str(tmp_path))), [first, second])
    assert found.analyses["second"] == 3


def test_a_field_holds_what_a_file_can_hold_in_the_order_of_the_study(results: Make, study: Make) -> None:
    found = results(tasks=2)
    curves = [Curve(row.arm, (CurvePoint(0.5, 20, Interval(math.nan, 0.1, 0.2)),)) for row in found.comparisons]
    placed = found.with_field("subjectivity.curves", curves[::-1]).subjectivity.curves
    assert [curve.arm for curve in placed] == [row.arm for row in found.comparisons]
    assert {point.accuracy.mean for curve in placed for point in curve.points} == {None}


def test_a_study_without_anything_has_no_sentences(study: Make) -> None:
    nothing = {"trials": [], "comparisons": [], "syntheses": [], "tasks": [], "estimate": None}
    assert summary(build(**(study() | nothing))) == []
