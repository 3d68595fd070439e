"""Syntheses: what each is asked to do, and what came of it; its rows are in the store."""

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
    """What one synthesis is asked to do; everything but the real rows."""

    task: TaskConfig
    mode: str
    generator: GeneratorConfig
    draw: int
    rows_per_label: int
    extra_texts: float
    """Extra texts allowed for each label, as a multiple of the rows wanted."""
    filters: tuple[str, ...]
    """Names of what rejects texts, in order."""
    imported: ImportConfig | None = None
    """Where its rows come from when nobody is asked for them; ``generator`` then has the import's name alone."""
    fewer: Mapping[str, int] = field(default_factory=dict)
    """Labels of which fewer rows are wanted than ``rows_per_label``, and how many."""
    among: tuple[GeneratorConfig, ...] = ()
    """The study's generators, from which this one's label tells it apart."""

    @cached_property  # a synthesis shows its progress under its name after every answer
    def source(self) -> Configured:
        """Who makes the rows."""
        return configured(self.imported) if self.imported else configured(self.generator, self.among)

    @property
    def rows(self) -> dict[str, int]:
        """Rows wanted by label."""
        return {label: self.fewer.get(label, self.rows_per_label) for label in self.task.labels}

    @property
    def name(self) -> str:
        """Readable name of the synthesis."""
        return readable(self.task.name, self.mode, self.source.label, f"draw {self.draw}")


@dataclass(frozen=True)
class FilterCounts:
    """How many texts survived each step: requested >= answered >= parsed >= valid >= unique >= kept."""

    requested: int
    """Texts that the LLM was asked for."""
    answered: int
    """Texts that came."""
    parsed: int
    """Texts that could be read out of the answer."""
    valid: int
    """Texts that no filter of single texts rejected."""
    unique: int
    """Texts that repeat no earlier one."""
    kept: int
    """Texts that became rows."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Rejected texts by reason."""


@dataclass(frozen=True)
class Synthesis:
    """One generated data set: its ledger here, its rows in the store under ``syntheses/<key>/rows.jsonl``."""

    key: str
    """Of the data set in the store; empty where it failed before it had one."""
    task: str
    """Name of the task."""
    mode: str
    """Name of the mode."""
    generator: str
    """The LLM by its litellm name, or the import by its name."""
    draw: int
    """Number of the drawing: another draw of the same job has other rows."""
    status: Status
    """``failed`` where ``error`` says why there are no rows."""
    yields: FilterCounts
    """How many texts survived each step."""
    label_counts: Mapping[str, int]
    """Kept rows by label; every label of the task is a key."""
    tokens_in: int
    """Tokens read by the LLM."""
    tokens_out: int
    """Tokens written by the LLM."""
    cost_usd: float | None
    """Null when the price is unknown; 0 for the embedded model."""
    seconds: float
    """Wall time spent generating, resumed parts included."""
    model_answered: str = ""
    """The model that the provider says answered."""
    calls: int = 0
    """Completed LLM calls in the journal."""
    short: bool = False
    """Fewer rows than asked were kept for some label."""
    stopped: str = ""
    """Why generation ended early (budget reached, ...); empty when it did not."""
    label_noise: float | None = None
    """Estimated share of kept rows that are not of the label asked for; null unless the study has ``label_check``."""
    diversity: Mapping[str, float] = field(default_factory=dict)
    """Measures of how varied the kept texts are, by name; ``<name>_error`` is the standard error of a measure."""
    similarity: Mapping[str, float] = field(default_factory=dict)
    """Measures of how close the kept texts are to real ones, in the same way."""
    error: str | None = None
    """Why it failed."""
    calls_estimated: int = 0
    """Calls whose tokens and cost are the most that they can have been, because the provider did not say them."""
    source: Configured | None = None
    """``generator`` with its settings, as the study has them; null in the store, which serves many studies."""

    @property
    def cost_per_kept_usd(self) -> float | None:
        """What a kept row cost; null where the price is unknown or no row was kept."""
        kept = self.yields.kept
        return self.cost_usd / kept if self.cost_usd is not None and kept else None
