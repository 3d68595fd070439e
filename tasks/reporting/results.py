"""``Results``: everything that a study found, as one typed record; ``results.json`` is its text.

It is built once from the records of the rooms before this one. Page, terminal, Markdown, Prefect and MLflow read it, so
that all of them show the same numbers. What is unknown is null, never zero and never NaN. docs/RESULTS.md is generated
from the docstrings of this module and of ``tasks/records/``.
"""

import dataclasses
import math
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, computed_field, field_validator
from pydantic_core import to_jsonable_python

from tasks.analysis.subjectivity.paper import Published
from tasks.config import StudyConfig
from tasks.jsonl import encodable, from_value
from tasks.llm.ledger import Booked
from tasks.llm.prices import price_map_hash
from tasks.modes import REFERENCE, own_name
from tasks.planning.plan import Planned
from tasks.records import (
    Arm,
    Challenge,
    Comparison,
    Correlation,
    Curve,
    Finding,
    Spent,
    Synthesis,
    TaskSubjectivity,
    TaskSummary,
    Trial,
    configured,
    known_sum,
)
from tasks.reporting.migration import migrated
from tasks.results_file import SCHEMA, damage_as_error, read_content

if TYPE_CHECKING:
    from pandas import DataFrame

T = TypeVar("T")

PACKAGES = (
    "synthgap",
    "torch",
    "transformers",
    "litellm",
    "xllamacpp",
    "scikit-learn",
    "datasets",
    "prefect",
    "mlflow",
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the whole study, with what was found in the store."""

    calls: int
    """LLM calls."""
    tokens_in: int
    """Tokens read by LLMs."""
    tokens_out: int
    """Tokens written by LLMs."""
    cost_usd: float | None
    """Null when a price is unknown."""
    seconds: float
    """Generating, asking and training, one after the other; not wall time."""
    cells: int
    """All cells."""
    cells_failed: int
    """Cells without a score."""
    cells_stored: int
    """Cells that were found in the store: nothing was trained for them in this run."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are the most that they can have been."""
    booked_usd: float | None = None
    """Dollars that the budget counts as spent. Dollars for lost answers are included, those of earlier runs are not.
    Null in results of older versions."""
    booked_estimated_usd: float | None = None
    """The part of ``booked_usd`` that is an upper bound."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A stage that broke off and is no cell and no synthesis."""

    stage: str
    """Which one."""
    error: str
    """Why it broke off."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """The model of a new champion, as it was registered in MLflow."""

    task: str
    """Name of the task."""
    name: str
    """Its name in MLflow's registry."""
    version: str
    """Of the registered model."""
    made_by: str
    """What wrote its training rows: the mode and the LLM."""
    classifier: str
    """The classifier that was trained."""
    seed: int
    """Of the replicate."""
    agreement: float
    """Share of test rows, 0 to 1, of which the model says what the cell's trial said."""


@dataclass(frozen=True)
class Subjectivity:
    """How subjective the tasks are, and how the scores go with it."""

    tasks: tuple[TaskSubjectivity, ...] = ()
    """One a task."""
    curves: tuple[Curve, ...] = ()
    """Accuracy over the agreement of raters, one an arm."""
    correlations: tuple[Correlation, ...] = ()
    """One an arm over all tasks and measure of subjectivity."""


@cache
def package_versions() -> dict[str, str]:
    """Versions of what shapes a result, read from package metadata without importing any of it."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if "litellm" in found:
        found["price map"] = f"litellm {found['litellm']}, sha256 {price_map_hash()[:12]}"
    return found


class Results(BaseModel):
    """Everything that a study found. Lists are in the study's own order, in whatever order they are given."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    """Version of this file's form."""
    created: str
    """ISO time with zone."""
    config: StudyConfig
    """The study file with all defaults filled in."""
    versions: Mapping[str, str] = Field(default_factory=package_versions)
    """Versions of the packages that shape a result."""
    tasks: tuple[TaskSummary, ...]
    """What was loaded. Tasks that could not be loaded are in ``config.tasks`` alone."""
    cells: tuple[Trial, ...]
    """One a cell of the grid; a failed one has its error."""
    syntheses: tuple[Synthesis, ...]
    """One a generated data set and mode: one that several modes train on is listed for each of them, with one key."""
    comparisons: tuple[Comparison, ...]
    """Scores and gaps, one an arm."""
    subjectivity: Subjectivity = Subjectivity()
    """How subjective the tasks are, and how the scores go with it."""
    findings: tuple[Finding, ...] = ()
    """The findings of Li et al. 2023, held against these numbers."""
    challenges: tuple[Challenge, ...] = ()
    """Each LLM's rows against the best so far, of each task and mode and over all modes."""
    models: tuple[RegisteredModel, ...] = ()
    """Champions that were registered in MLflow."""
    paper: tuple[Published, ...] = ()
    """The numbers of Li et al. 2023 for the study's cells, as context."""
    failures: tuple[Failure, ...] = ()
    """Stages that broke off and are no cell and no synthesis."""
    analyses: Mapping[str, Any] = Field(default_factory=dict)
    """Further results of the analysis, by the name of their section (``tasks/reporting/sections``)."""
    totals: Totals
    """Sums over the whole study, with what was found in the store."""
    estimate: Planned | None = None
    """What the plan expected of the run before anything was spent."""

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return _storable(value)

    @field_validator("cells", "syntheses", "comparisons", "subjectivity")
    @classmethod
    def _in_order(cls, value: Any, info: ValidationInfo) -> Any:
        config = info.data.get("config")
        if config is None:
            return value
        return _subjectivity_in_order(value, config) if isinstance(value, Subjectivity) else _ordered(value, config)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def study(self) -> str:
        """The study's name."""
        return self.config.name

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> Literal["ok", "failed"]:
        """``failed`` where a cell, a synthesis or another stage failed, or where there is no cell."""
        return "failed" if self.errors else "ok"

    @property
    def errors(self) -> tuple[str, ...]:
        """Why the status is ``failed``, one for each part that failed: other stages, syntheses, cells."""
        parts: list[Synthesis | Trial] = [*self.syntheses, *self.cells]
        failed = [item.error or "no error message" for item in parts if item.status != "ok"]
        return (*(item.error for item in self.failures), *failed, *([] if self.cells else ["the study has no cell"]))

    def with_field(self, path: str, found: Any) -> "Results":
        """The same with another value of a field, such as ``findings``, or ``subjectivity.curves``: a field of one."""
        name, _, part = path.partition(".")
        value = _storable(dataclasses.replace(getattr(self, name), **{part: found}) if part else found)
        if isinstance(value, Subjectivity):  # a copy is not validated
            value = _subjectivity_in_order(value, self.config)
        return self.model_copy(update={name: value})

    def with_analysis(self, name: str, found: Any) -> "Results":
        """The same with an entry of ``analyses``: what an analysis found, as records or plain JSON."""
        return self.model_copy(update={"analyses": {**self.analyses, name: _storable(to_jsonable_python(found))}})

    def analysis(self, name: str, of: type[T]) -> T | None:
        """What an analysis found that is in ``analyses``, as a record or, say, a ``tuple[Record, ...]``; null without
        it.
        """
        found = self.analyses.get(name)
        return None if found is None else from_value(found, of)

    def cells_frame(self) -> "DataFrame":
        """A pandas DataFrame with a row for each cell."""
        return _frame(self.cells)

    def comparisons_frame(self) -> "DataFrame":
        """A pandas DataFrame with a row for each arm; ``gap_mean`` is the field ``mean`` of ``gap``, and so on."""
        return _frame(self.comparisons)


def to_json(results: Results) -> str:
    """Results as the text of results.json."""
    return results.model_dump_json(indent=1, by_alias=True) + "\n"


def read_results(path: Path | str) -> Results:
    """The results in a file of this or an older version.

    Raises ``FileNotFoundError`` where there is none, ``RunError`` where it is damaged or of a newer version.
    """
    with damage_as_error(path):
        content, schema = read_content(path)
        return Results.model_validate(migrated(content, schema))


def source_of(row: Any) -> str | None:
    """Who made the rows of a synthesis, cell, comparison, curve or correlation, for people; null for real rows."""
    if isinstance(row, Synthesis):  # one of an older version has a name alone
        return row.source.label if row.source else row.generator
    source: str | None = row.source
    return source


def total(syntheses: Sequence[Synthesis], trials: Sequence[Trial], questions: Spent, booked: Booked | None) -> Totals:
    """The study's sums.

    A synthesis that several modes train on is listed for each of them and counts once. An LLM that classifies is a
    trial, whose calls and seconds are among those of ``questions``: what untrained arms, annotators and judges took.
    ``booked`` is what the ledger of this run, or of the account that it spends from, holds at the end.
    """
    made = list({synthesis.key or number: synthesis for number, synthesis in enumerate(syntheses)}.values())
    trained = sum(trial.seconds for trial in trials if trial.latency_s is None)
    return Totals(
        calls=sum(synthesis.calls for synthesis in made) + questions.calls,
        tokens_in=sum(synthesis.tokens_in for synthesis in made) + questions.tokens_in,
        tokens_out=sum(synthesis.tokens_out for synthesis in made) + questions.tokens_out,
        cost_usd=known_sum([questions.cost_usd, *(synthesis.cost_usd for synthesis in made)]),
        seconds=sum(synthesis.seconds for synthesis in made) + questions.seconds + trained,
        cells=len(trials),
        cells_failed=sum(trial.status != "ok" for trial in trials),
        cells_stored=sum(trial.cached for trial in trials),
        calls_estimated=sum(synthesis.calls_estimated for synthesis in made) + questions.calls_estimated,
        booked_usd=booked.usd if booked else None,
        booked_estimated_usd=booked.estimated_usd if booked else None,
    )


def _storable(value: Any) -> Any:
    """A value as JSON and UTF-8 can hold it, in records and all that they hold: a number that is none becomes null, in
    a mapping it is left out, and half a character becomes U+FFFD.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        kept = ((key, item, _storable(item)) for key, item in value.items())
        return {_storable(key): found for key, item, found in kept if found is not None or item is None}
    if isinstance(value, list | tuple):
        return tuple(map(_storable, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _storable(item) for name, item in fields.items()})
    return value


def _subjectivity_in_order(value: Subjectivity, config: StudyConfig) -> Subjectivity:
    tasks = sorted(value.tasks, key=lambda item: _task_place(config, item.task))
    return dataclasses.replace(value, tasks=tuple(tasks), curves=_ordered(value.curves, config))


def _ordered(items: Iterable[Any], config: StudyConfig) -> tuple[Any, ...]:
    """In the order of the study file; what it does not list (the full-real reference) comes last in its group, and
    rows of comparison after that.
    """
    modes = [*map(own_name, config.modes), REFERENCE, *config.untrained]
    generators = [configured(generator, config.generators).label for generator in config.generators]
    classifiers = [configured(classifier, config.classifiers).label for classifier in config.classifiers]

    def place(item: Any) -> tuple[Any, ...]:
        number = getattr(item, "seed", getattr(item, "draw", 0))
        classifier = getattr(item, "classifier", "")
        rank = _rank(modes, item.mode), _rank(generators, source_of(item)), _rank(classifiers, classifier)
        return (*_task_place(config, item.task), *rank, classifier, number)

    return tuple(sorted(items, key=place))


def _rank(names: Sequence[str], name: str | None) -> int:
    return names.index(name) if name is not None and name in names else len(names)


def _task_place(config: StudyConfig, name: str) -> tuple[int, str]:
    return _rank([re.sub(r"^.*[/\\]|\.ya?ml$", "", task) for task in config.tasks], name), name


def _frame(records: Sequence[Any]) -> "DataFrame":
    from pandas import DataFrame

    nested = {
        field.name for item in records for field in dataclasses.fields(item) if _is_record(getattr(item, field.name))
    }
    return DataFrame([dict(_columns(item, nested)) for item in records])


def _columns(record: Any, nested: Iterable[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Arm):
            yield from {"arm": value.id, "task": value.task, "mode": value.mode, "source": value.source_label}.items()
            yield from {"classifier": value.classifier.label, "size": value.size}.items()
        elif _is_record(value):
            yield from _columns(value, (), f"{prefix}{field.name}_")
        elif field.name not in nested:  # null here and a record in another row: its columns stay empty
            yield f"{prefix}{field.name}", value


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
