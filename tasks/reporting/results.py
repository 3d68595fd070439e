"""``Results``: everything that a study found, as one typed record; ``results.json`` is its text.

It is built once. Page, terminal, Markdown, Prefect and MLflow all read it, so they show the same numbers. An unknown
value is null, never zero and never NaN. docs/RESULTS.md is generated from the docstrings of this module and of
``tasks/records/``.
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
    """Sums over the whole study, including the parts that were found in the store."""

    calls: int
    """LLM calls."""
    tokens_in: int
    """Tokens read by LLMs."""
    tokens_out: int
    """Tokens written by LLMs."""
    cost_usd: float | None
    """Dollars; null if a price is unknown."""
    seconds: float
    """Sum of the times of generation, questions and training. It is no wall time, because some run at the same time."""
    cells: int
    """All cells."""
    cells_failed: int
    """Cells without a score."""
    cells_stored: int
    """Cells that were found in the store, so that this run did not train them."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are upper bounds."""
    booked_usd: float | None = None
    """Dollars that the budget counts as spent, including lost answers, but without earlier runs. Null in results of
    older versions."""
    booked_estimated_usd: float | None = None
    """The part of ``booked_usd`` that is an upper bound."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed stage that is neither a cell nor a synthesis."""

    stage: str
    """Name of the stage."""
    error: str
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """The model of a new champion, as it was registered in MLflow."""

    task: str
    """Name of the task."""
    name: str
    """Its name in MLflow's registry."""
    version: str
    """Version of the registered model."""
    made_by: str
    """Mode and LLM of its training rows."""
    classifier: str
    """The classifier that was trained."""
    seed: int
    """Seed of the replicate."""
    agreement: float
    """Share of test rows, 0 to 1, for which the model predicts the same label as the cell's trial."""


@dataclass(frozen=True)
class Subjectivity:
    """How subjective the tasks are, and how scores depend on it."""

    tasks: tuple[TaskSubjectivity, ...] = ()
    """One for each task."""
    curves: tuple[Curve, ...] = ()
    """Accuracy over the agreement of raters, one for each arm."""
    correlations: tuple[Correlation, ...] = ()
    """Correlations of gap and subjectivity, one for each arm and measure of subjectivity."""


@cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that affect a result, read from metadata without importing them."""
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
    """Everything that a study found. Lists are sorted into the order of the study file."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    """Version of the file's format."""
    created: str
    """Time of the run in ISO format with time zone."""
    config: StudyConfig
    """The study file with all defaults filled in."""
    versions: Mapping[str, str] = Field(default_factory=package_versions)
    """Versions of the packages that affect a result."""
    tasks: tuple[TaskSummary, ...]
    """The loaded tasks. Tasks that could not be loaded are only in ``config.tasks``."""
    cells: tuple[Trial, ...]
    """One trial for each cell of the grid. A failed one has its error."""
    syntheses: tuple[Synthesis, ...]
    """Generated data sets. One that several modes use is listed for each of them, with the same key."""
    comparisons: tuple[Comparison, ...]
    """Scores and gaps, one for each arm."""
    subjectivity: Subjectivity = Subjectivity()
    """How subjective the tasks are, and how scores depend on it."""
    findings: tuple[Finding, ...] = ()
    """Whether these numbers confirm the findings of Li et al. 2023."""
    challenges: tuple[Challenge, ...] = ()
    """Comparisons of each LLM with the best one so far, for each task and mode and over all modes."""
    models: tuple[RegisteredModel, ...] = ()
    """Champions that were registered in MLflow."""
    paper: tuple[Published, ...] = ()
    """The numbers of Li et al. 2023 for the study's arms, as context."""
    failures: tuple[Failure, ...] = ()
    """Failed stages that are neither a cell nor a synthesis."""
    analyses: Mapping[str, Any] = Field(default_factory=dict)
    """Further results of the analysis, by the name of their section (``tasks/reporting/sections``)."""
    totals: Totals
    """Sums over the whole study, including the parts that were found in the store."""
    estimate: Planned | None = None
    """The plan's estimate for the run, made before anything was spent."""

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
        """``failed`` if a cell, a synthesis or another stage failed, or if there is no cell."""
        return "failed" if self.errors else "ok"

    @property
    def errors(self) -> tuple[str, ...]:
        """Why the status is ``failed``, one for each part that failed: other stages, syntheses, cells."""
        parts: list[Synthesis | Trial] = [*self.syntheses, *self.cells]
        failed = [item.error or "no error message" for item in parts if item.status != "ok"]
        return (*(item.error for item in self.failures), *failed, *([] if self.cells else ["the study has no cell"]))

    def with_field(self, path: str, found: Any) -> "Results":
        """A copy with another value of a field (``findings``) or of a field in a field (``subjectivity.curves``)."""
        name, _, part = path.partition(".")
        value = _storable(dataclasses.replace(getattr(self, name), **{part: found}) if part else found)
        if isinstance(value, Subjectivity):  # a copy is not validated
            value = _subjectivity_in_order(value, self.config)
        return self.model_copy(update={name: value})

    def with_analysis(self, name: str, found: Any) -> "Results":
        """A copy with another entry of ``analyses``; the value is records or plain JSON."""
        return self.model_copy(update={"analyses": {**self.analyses, name: _storable(to_jsonable_python(found))}})

    def analysis(self, name: str, of: type[T]) -> T | None:
        """An entry of ``analyses`` as a record or a type such as ``tuple[Record, ...]``; null if it is missing."""
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

    Raises ``FileNotFoundError`` if there is no file, ``RunError`` if it is damaged or of a newer version.
    """
    with damage_as_error(path):
        content, schema = read_content(path)
        return Results.model_validate(migrated(content, schema))


def source_of(row: Any) -> str | None:
    """Name of the source of a record's rows, for people; null for real rows."""
    if isinstance(row, Synthesis):  # results of older versions have only a name
        return row.source.label if row.source else row.generator
    source: str | None = row.source
    return source


def total(syntheses: Sequence[Synthesis], trials: Sequence[Trial], questions: Spent, booked: Booked | None) -> Totals:
    """The sums over a study.

    A synthesis that several modes use is listed for each of them, but counts once. ``questions`` is what untrained
    arms, annotators and judges took. It includes the calls and seconds of LLMs that classify, although these are also
    trials. ``booked`` is the content of the ledger (of this run, or of its account) at the end.
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
    """A value that JSON and UTF-8 can represent, also inside of records.

    NaN and infinite numbers become null, or are left out of a mapping; a lone surrogate becomes U+FFFD.
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
    """Items in the order of the study file. What the file does not list (the reference) comes last in its group, and
    then the untrained arms.
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
