"""Syntheses: the job of each and its outcome. The rows are in the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tasks.config import GeneratorConfig, ImportConfig, TaskConfig
from tasks.records.arms import Configured, configured
from tasks.records.names import readable

Status = Literal["ok", "failed"]


@dataclass(frozen=True)
class SynthesisJob:
    """The job of one synthesis, without the real rows."""

    task: TaskConfig
    mode: str
    generator: GeneratorConfig
    draw: int
    rows_per_label: int
    extra_texts: float
    """Most extra texts for each label, as a multiple of the requested rows."""
    filters: tuple[str, ...]
    """Names of the filters, in order."""
    imported: ImportConfig | None = None
    """The import that its rows come from; ``generator`` then has only the import's name. Null if an LLM is asked."""
    fewer: Mapping[str, int] = field(default_factory=dict)
    """Requested rows of the labels that need fewer than ``rows_per_label``."""
    among: tuple[GeneratorConfig, ...] = ()
    """All generators of the study, from which the label of this one must differ."""

    @cached_property  # a synthesis shows its progress under its name after every answer
    def source(self) -> Configured:
        """The generator or import that makes the rows."""
        return configured(self.imported) if self.imported else configured(self.generator, self.among)

    @property
    def rows(self) -> dict[str, int]:
        """Requested rows by label."""
        return {label: self.fewer.get(label, self.rows_per_label) for label in self.task.labels}

    @property
    def name(self) -> str:
        """Readable name of the synthesis."""
        return readable(self.task.name, self.mode, self.source.label, f"draw {self.draw}")


@dataclass(frozen=True)
class FilterCounts:
    """How many texts passed each step: requested >= answered >= parsed >= valid >= unique >= kept."""

    requested: int
    """Texts that were requested from the LLM."""
    answered: int
    """Texts that the LLM answered with."""
    parsed: int
    """Texts that could be parsed from the answers."""
    valid: int
    """Texts that passed the filters of single texts."""
    unique: int
    """Texts that do not repeat an earlier text."""
    kept: int
    """Texts that became rows."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Rejected texts by reason."""


@dataclass(frozen=True)
class Synthesis:
    """One generated data set: its counts and costs. Its rows are in the store under ``syntheses/<key>/rows.jsonl``."""

    key: str
    """Key of the data set in the store; empty if it failed before it had one."""
    task: str
    """Name of the task."""
    mode: str
    """Name of the mode."""
    generator: str
    """The LLM by its litellm name, or the import by its name."""
    draw: int
    """Number of the draw: each draw of the same job has other rows."""
    status: Status
    """``failed`` if there are no rows; ``error`` is the reason."""
    yields: FilterCounts
    """How many texts passed each step."""
    label_counts: Mapping[str, int]
    """Kept rows by label; every label of the task is a key."""
    tokens_in: int
    """Tokens read by the LLM."""
    tokens_out: int
    """Tokens written by the LLM."""
    cost_usd: float | None
    """Null if the price is unknown; 0 for the embedded model."""
    seconds: float
    """Wall time of the generation, also of resumed parts."""
    model_answered: str = ""
    """The model that the provider says answered."""
    calls: int = 0
    """Completed LLM calls in the journal."""
    short: bool = False
    """Whether fewer rows than requested were kept for a label."""
    stopped: str = ""
    """Why the generation ended early, such as a reached budget; empty if it did not."""
    label_noise: float | None = None
    """Estimated share of kept rows that do not have the requested label; null unless the study has ``label_check``."""
    diversity: Mapping[str, float] = field(default_factory=dict)
    """Measures of how diverse the kept texts are, by name; ``<name>_error`` is the standard error of a measure."""
    similarity: Mapping[str, float] = field(default_factory=dict)
    """Measures of how similar the kept texts are to real texts, in the same form."""
    error: str | None = None
    """Why it failed."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are upper bounds, because the provider did not report them."""
    source: Configured | None = None
    """``generator`` with its settings in the study; null in the store, which many studies share."""

    @property
    def cost_per_kept_usd(self) -> float | None:
        """Dollars for a kept row; null if the price is unknown or no row was kept."""
        kept = self.yields.kept
        return self.cost_usd / kept if self.cost_usd is not None and kept else None
