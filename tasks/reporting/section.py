"""A section: one result of the analysis, and how it is shown in each place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.records import Judgement, Rating
from tasks.reporting.results import Results
from tasks.store import Store


@dataclass(frozen=True, slots=True)
class AnalysisInputs:
    """What sections compute their parts from beside the results: records of a run that results.json leaves out."""

    store: Store
    """Where the predictions and the rows are."""
    agreement: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By task and test row (``item_key``), the agreement of the data's own raters; tasks without raters have none."""
    ratings: Mapping[str, Sequence[Rating]] = field(default_factory=dict)
    """By task, the annotators' votes on test rows."""
    judgements: Sequence[Judgement] = ()
    """Comparisons of tasks by judges."""


@dataclass(frozen=True, slots=True)
class Table:
    """Plain text in rows, for every place; false without rows."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True, slots=True)
class Panel:
    """One small figure."""

    title: str
    svg: str
    says: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Group:
    """Panels of one classifier and generator, or one wide figure with its sentence."""

    name: str
    panels: list[Panel] = field(default_factory=list)
    svg: str = ""
    says: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One result of the analysis. Page, terminal, Markdown, Prefect's artifact and MLflow go through all sections; one
    without anything to show is left out.
    """

    name: str
    """Of its part of the results, and of its template beside its file; without one its part of the page is title,
    sentences, figures and table."""
    title: str
    """Heading on the page."""
    compute: Callable[[Results, AnalysisInputs], Any] | None = None
    """Makes its part, as records or plain JSON, from the inputs and the results, which have the parts of the sections
    before it. Null where it only shows what stages of the flow found."""
    stored_in: str = ""
    """Field of ``Results`` that holds its part, such as ``subjectivity.curves``; without one its part is an entry of
    ``analyses``."""
    sentences: Callable[[Results], Sequence[str]] = lambda results: ()
    """What it means, for places without figures."""
    heading: str = ""
    """Of its sentences; without one they stand among those of other sections."""
    table: Callable[[Results], Table | None] = lambda results: None
    """Its numbers, for places without figures."""
    figures: Callable[[Results], Sequence[Panel]] = lambda results: ()
    """For a section without a template."""
    variables: Callable[[Results], Mapping[str, Any]] = lambda results: {}
    """What its template needs beside what all of them get."""
    metrics: Callable[[Results], Mapping[str, float | None]] = lambda results: {}
    """Metrics of the study's run in MLflow; null is left out."""
    tags: Callable[[Results], Mapping[str, str]] = lambda results: {}
    """Tags of the same."""
