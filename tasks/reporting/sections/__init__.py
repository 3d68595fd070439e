"""All sections, in the order of the report: a file each, with its part of the page beside it.

A new result of the analysis is a file here, a template if it needs one, and its line in ``SECTIONS``.
"""

from collections.abc import Sequence

from tasks.reporting.results import Results
from tasks.reporting.section import AnalysisInputs, Section
from tasks.reporting.sections import (
    champions,
    comparisons,
    curves,
    findings,
    paper,
    scores,
    shares,
    spent,
    subjectivity,
    texts,
)

SECTIONS = (
    scores.SECTION,
    paper.SECTION,
    comparisons.SECTION,
    subjectivity.SECTION,
    curves.SECTION,
    shares.SECTION,
    findings.SECTION,
    champions.SECTION,
    texts.SECTION,
    spent.SECTION,
)


def analysed(results: Results, inputs: AnalysisInputs, sections: Sequence[Section] = SECTIONS) -> Results:
    """The results with the parts that sections compute, one after the other in the order of the list.

    Raises ``RunError`` where a finished trial's predictions are gone or damaged.
    """
    for section in sections:
        if section.compute:
            found = section.compute(results, inputs)
            path, name = section.stored_in, section.name
            results = results.with_field(path, found) if path else results.with_analysis(name, found)
    return results


def summary(results: Results, sections: Sequence[Section] = SECTIONS) -> list[str]:
    """What the numbers mean, for places without figures: the sentences of sections that give them no heading."""
    return [sentence for section in sections if not section.heading for sentence in section.sentences(results)]
