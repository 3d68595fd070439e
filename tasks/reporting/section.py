"""A section: one result of the analysis, and how each output shows it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.records import Judgement, Rating
from tasks.reporting.results import Results
from tasks.store import Store


@dataclass(frozen=True, slots=True)
class AnalysisInputs:
    """Inputs of sections besides the results: records of a run that results.json does not contain."""

    store: Store
    """The store with the predictions and the rows."""
    agreement: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Agreement of the data's own raters by task and test row (``item_key``), for tasks whose data has raters."""
    ratings: Mapping[str, Sequence[Rating]] = field(default_factory=dict)
    """The annotators' votes on test rows, by task."""
    judgements: Sequence[Judgement] = ()
    """Comparisons of tasks by judges."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain text for all outputs. It is false if it has no rows."""

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
    """The panels of one classifier and generator, or one wide figure with its sentences."""

    name: str
    panels: list[Panel] = field(default_factory=list)
    svg: str = ""
    says: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One result of the analysis. Page, terminal, Markdown, Prefect's artifact and MLflow loop over all sections.

    A section without content is left out.
    """

    name: str
    """Name of its part of the results, and of its template, which is beside its file. Without a template, the page
    shows title, sentences, figures and table."""
    title: str
    """Heading on the page."""
    compute: Callable[[Results, AnalysisInputs], Any] | None = None
    """Computes its part of the results, as records or plain JSON. The results contain the parts of earlier sections.
    Null if the section only shows what stages of the flow computed."""
    stored_in: str = ""
    """Field of ``Results`` for its part, such as ``subjectivity.curves``. If empty, its part is an entry of
    ``analyses``."""
    sentences: Callable[[Results], Sequence[str]] = lambda results: ()
    """Its conclusions, for outputs without figures."""
    heading: str = ""
    """Heading of its sentences. If empty, they are listed together with those of other sections."""
    table: Callable[[Results], Table | None] = lambda results: None
    """Its numbers, for outputs without figures."""
    figures: Callable[[Results], Sequence[Panel]] = lambda results: ()
    """Its figures, if it has no template."""
    variables: Callable[[Results], Mapping[str, Any]] = lambda results: {}
    """Variables of its template, in addition to those of all templates."""
    metrics: Callable[[Results], Mapping[str, float | None]] = lambda results: {}
    """Metrics of the study's run in MLflow, without nulls."""
    tags: Callable[[Results], Mapping[str, str]] = lambda results: {}
    """Tags of the study's run in MLflow."""
