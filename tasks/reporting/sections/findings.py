"""Whether this study confirms the findings of the paper."""

from tasks.phrases import count, listed
from tasks.records import Finding
from tasks.reporting.results import Results
from tasks.reporting.section import AnalysisInputs, Section, Table


def compute(results: Results, inputs: AnalysisInputs) -> tuple[Finding, ...]:
    """The findings whose modes the study has."""
    from tasks.analysis.subjectivity.findings import find  # scipy is slow to import

    found = results.subjectivity
    return find(results.comparisons, results.syntheses, results.tasks, found.curves, found.tasks)


def tally(results: Results) -> str:
    """How many of the paper's findings these numbers confirm."""
    verdicts = [finding.verdict for finding in results.findings]
    if not verdicts:
        return ""
    if set(verdicts) == {"undecided"}:
        undecided = f"{'all ' if len(verdicts) > 1 else ''}{count(len(verdicts), 'finding')}"
        return f"This study's numbers leave {undecided} of the paper undecided."
    words = {"confirmed": "confirm {}", "refuted": "refute {}", "undecided": "leave {} undecided"}
    parts = [said.format(verdicts.count(verdict)) for verdict, said in words.items() if verdict in verdicts]
    return f"Of {count(len(verdicts), 'finding')} of the paper, this study's numbers {listed(parts)}."


def table(results: Results) -> Table | None:
    """A line for each finding; without one that is decided, the sentence says all."""
    if all(finding.verdict == "undecided" for finding in results.findings):
        return None
    rows = [(finding.claim, finding.verdict, finding.evidence) for finding in results.findings]
    return Table(("finding of the paper", "here", "evidence"), rows) if rows else None


SECTION = Section(
    name="findings",
    title="The paper’s findings on your tasks",
    compute=compute,
    stored_in="findings",
    sentences=lambda results: [tally(results)] if results.findings else [],
    table=table,
    variables=lambda results: {"tally": tally(results)},
)
