"""docs/RESULTS.md says what results.json holds."""

from dataclasses import dataclass
from pathlib import Path

from tasks.reporting import reference
from tasks.reporting.results import Results

PAGE = Path(__file__).parents[2] / "docs" / "RESULTS.md"


def test_the_page_is_the_generated_one() -> None:
    now = "docs/RESULTS.md is behind: run `python -m tasks.reporting.reference docs/RESULTS.md`"
    assert PAGE.read_text(encoding="utf-8") == reference.reference(), now


def test_every_record_of_the_results_has_a_section_that_is_linked() -> None:
    text = reference.reference()
    names = [record.__name__ for record in reference.records() if record is not Results]
    assert {"Trial", "Interval", "CurvePoint"} <= set(names)
    assert [name for name in names if f"## {name}\n" not in text or f"](#{name.lower()})" not in text] == []


@dataclass(frozen=True)
class Made:
    """A record."""

    first: int
    """What it is: ``a|b``
    or more.
    """
    second: tuple[float | None, ...] = ()


def test_a_field_is_shown_with_its_type_and_docstring() -> None:
    assert list(reference.fields_of(Made)) == [
        ("first", int, "What it is: ``a|b``\nor more."),
        ("second", tuple[float | None, ...], ""),
    ]
