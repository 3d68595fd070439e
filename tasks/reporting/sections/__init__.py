"""All sections in the order of the report. Each has a file here and, if needed, a template beside it.

To add a result of the analysis, add a file, a template if it needs one, and a line in ``SECTIONS``.
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
    """The results with the parts that sections compute, in the order of the list.

    Raises ``RunError`` if the predictions of a finished trial are gone or damaged.
    """
    for section in sections:
        if section.compute:
            found = section.compute(results, inputs)
            path, name = section.stored_in, section.name
            results = results.with_field(path, found) if path else results.with_analysis(name, found)
    return results


def summary(results: Results, sections: Sequence[Section] = SECTIONS) -> list[str]:
    """What the numbers mean: the sentences of all sections without a heading of their own."""
    return [sentence for section in sections if not section.heading for sentence in section.sentences(results)]
