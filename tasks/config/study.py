"""A study: the grid of cells and the rules they share."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tasks.config.classifier import EMBEDDED_CLASSIFIER, Classifier, ClassifierConfig
from tasks.config.fields import File, Frozen, Identified, OptionalFile, hub_or_folder
from tasks.config.generator import EMBEDDED_GENERATOR, Generator, GeneratorConfig
from tasks.config.parameters import Named
from tasks.config.reading import parse, read_yaml
from tasks.config.task import TextColumns

PERSONAS = (
    "You are a careful expert who follows definitions to the letter.",
    "You are a young person who spends a lot of time on social media.",
    "You are a retired teacher who reads newspapers every day.",
    "You are a busy parent who reads quickly and trusts first impressions.",
    "You are a sceptical engineer who doubts what is not stated outright.",
)
"""Roles of annotators, unless a study names others."""
RENAMED = {"baselines": "untrained", "baseline_rows": "untrained_rows"}
"""Fields of a study by their names of earlier versions."""


class ImportConfig(TextColumns, Identified):
    """Synthetic rows that somebody else made, from a file or a hub data set: one of ``file`` and ``path``."""

    name: str = Field(min_length=1, max_length=80)
    """What they are called in results, in the place of a generator."""
    task: str
    """Name of the study's task that they are for."""
    file: OptionalFile = None
    """CSV, TSV, JSONL or Parquet, relative to the study file."""
    path: Annotated[str | None, AfterValidator(hub_or_folder)] = None
    """Hub repository, or a local folder of data files."""
    config: str | None = None
    """Configuration (subset) of the hub data set."""
    revision: str | None = None
    """Commit of the hub data set; null is not reproducible."""
    split: str = "train"
    """Split of the hub data set."""
    cost_usd: float | None = Field(default=None, ge=0)
    """What all rows of the source cost; each text that is looked at counts with its share. Null where nobody knows."""

    @property
    def identity(self) -> dict[str, Any]:
        """Its name: a task has one import of a name, whose columns and place differ from task to task."""
        return {"name": self.name}

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.path is None):
            raise ValueError(f"import {self.name!r} needs either file or path")
        for name in ("config", "revision", "split"):
            if self.path is None and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"import {self.name!r}: {name} is for a hub data set (path), not for a file")
        return self


class SubjectivityConfig(Frozen):
    """Who says how subjective texts and tasks are, where the data's own raters do not."""

    annotators: tuple[Generator, ...] = ()
    """LLMs that label test rows, each once in the role of every persona; none: only tasks whose data has raters get an
    agreement."""
    personas: tuple[str, ...] = Field(default=PERSONAS, min_length=1)
    """Roles that annotators and judges take, as sentences that begin a prompt."""
    items: int = Field(default=100, gt=0)
    """Test rows of each task that annotators label."""
    judges: tuple[Generator, ...] = ()
    """LLMs that compare pairs of tasks: which is the more objective one?"""
    comparisons: int = Field(default=540, gt=0)
    """Pairs of tasks that all judges together are shown; 540 in the paper."""
    judgements: OptionalFile = None
    """CSV with columns ``judge``, ``objective`` and ``subjective`` (task names): human judgements, relative to the
    study file; used beside the judges'."""


class StudyConfig(Frozen):
    """A grid of cells (task x mode x generator x classifier x seed) and the rules they share."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    """Names the MLflow experiment, the report folder and the Prefect deployment."""
    tasks: tuple[File, ...] = Field(min_length=1)
    """Catalog ids, or paths of task YAMLs relative to the study file."""
    modes: tuple[Named, ...] = Field(min_length=1)
    """Where training rows come from: real, zero_shot, few_shot, ...; ``mix/50`` generates half of them, and
    ``{few_shot: {examples: 8}}`` is a mode with a parameter."""
    generators: tuple[Generator, ...] = (GeneratorConfig(model=EMBEDDED_GENERATOR),)
    """LLMs by litellm name, with parameters if wanted."""
    classifiers: tuple[Classifier, ...] = (ClassifierConfig(model=EMBEDDED_CLASSIFIER),)
    """Classifiers to train."""
    filters: tuple[Named, ...] | None = None
    """What rejects generated texts, in this order, such as ``[duplicate, {near_duplicate: {jaccard: 0.8}}]``; null
    takes the default filters. Texts with nothing in them are rejected first in any case."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """One training per seed; gaps are paired by seed."""
    rows_per_label: int = Field(default=100, gt=0)
    """Training rows for each label, synthetic and real alike; as many as there are of a label with fewer real ones."""
    synthesis_per: Literal["study", "seed"] = "study"
    """``study``: one draw of training rows serves all seeds; ``seed``: a fresh draw for every seed."""
    test_rows: int | None = Field(default=1000, gt=0)
    """Real test rows, stratified by label; null takes them all."""
    reference_rows: int | None = Field(default=2000, ge=0)
    """Rows of the full-real reference in their natural label shares; null takes all training rows, 0 leaves it out."""
    pool_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the real training rows that few-shot prompts may show."""
    pool_rows_per_label: int | None = Field(default=None, gt=0)
    """Most of them for each label; null lets the share alone decide."""
    imports: tuple[ImportConfig, ...] = ()
    """Synthetic rows that others made, for the mode ``imported``."""
    extra_texts: float = Field(default=2.0, ge=0)
    """Texts beyond those wanted, as a multiple, to replace rejected ones; what then lacks is reported short."""
    budget_usd: float | None = Field(default=1.0, ge=0)
    """Most dollars that one run may spend on LLM calls; null sets no limit."""
    budget_tokens: int | None = Field(default=None, ge=0)
    """Most tokens, read and written, that one run may spend on LLM calls; null sets no limit."""
    account: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=120)
    """Ledger that all runs with this account share; the budgets then are those of all of them together. Null: each run
    has its own."""
    log_models: bool = True
    """Log the model of each task's best generated or imported rows to MLflow and register it as the task's champion,
    where it is better beyond chance than the one that is registered."""
    untrained: tuple[str, ...] = ("majority",)
    """Rows of comparison that need no training data: majority (the most frequent label), llm_zero_shot and llm_few_shot
    (each generator classifies the test rows itself, which costs calls)."""
    untrained_rows: int | None = Field(default=200, gt=0)
    """Test rows that an LLM classifies, stratified by label; null takes all of the study's."""
    subjectivity: SubjectivityConfig | None = None
    """How subjective tasks and texts are found to be; null uses the data's own raters where there are any."""
    tolerance: float = Field(default=0.02, gt=0, lt=1)
    """Loss of macro-F1 that you would accept for not labelling; the verdict is about it."""
    trainings: int = Field(default=1, gt=0)
    """Trainings at once, each in a process of its own."""
    syntheses: int = Field(default=2, gt=0)
    """Syntheses at once; each has its generator's concurrency within."""

    @model_validator(mode="before")
    @classmethod
    def _current_names(cls, fields: Any) -> Any:
        """Fields of older studies, which stored results and people's files still have, under their names of today."""
        if not isinstance(fields, dict):
            return fields
        for old, new in RENAMED.items():
            if old in fields and new in fields:
                raise ValueError(f"{old!r} is the old name of {new!r}: give one of them")
        return {RENAMED.get(name, name): value for name, value in fields.items()}

    @field_validator("tasks", "modes", "seeds", "generators", "classifiers", "filters", "untrained")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        listed = values or ()
        for i, value in enumerate(listed):
            if value in listed[:i]:
                raise ValueError(f"{getattr(value, 'model', value)!r} is listed twice")
        return values


class Study(Frozen):
    """A parsed study file: the config and the folder that its relative paths start from."""

    config: StudyConfig
    folder: Path

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        if not self.folder.is_absolute():
            raise ValueError(f"folder {str(self.folder)!r} must be absolute")
        return self


def load_study(path: Path) -> Study:
    """The study in a YAML file. Raises ``UserError`` for anything in it that cannot be used."""
    path = path.resolve()
    config = parse(StudyConfig, read_yaml(path), f"study {path.name}")
    classifiers = tuple(_in_folder(classifier, path.parent) for classifier in config.classifiers)
    imports = tuple(_from_folder(item, path.parent) for item in config.imports)
    changed = {"classifiers": classifiers, "imports": imports, "subjectivity": _with_file(config, path.parent)}
    return Study(config=config.model_copy(update=changed), folder=path.parent)


def _with_file(config: StudyConfig, folder: Path) -> SubjectivityConfig | None:
    """The file of judgements is relative to the study file."""
    asked = config.subjectivity
    if asked is None or asked.judgements is None:
        return asked
    return asked.model_copy(update={"judgements": str(folder / Path(asked.judgements).expanduser())})


def _in_folder(classifier: ClassifierConfig, folder: Path) -> ClassifierConfig:
    """Like tasks, a local model's folder (``./model``, ``../model``) is relative to the study file."""
    if not classifier.model.startswith(("./", "../")):
        return classifier
    return classifier.model_copy(update={"model": str((folder / classifier.model).resolve())})


def _from_folder(item: ImportConfig, folder: Path) -> ImportConfig:
    """An import's file, and its folder where the hub data set is one (``./rows``), are relative to the study file."""
    if item.file is not None:
        return item.model_copy(update={"file": str(folder / Path(item.file).expanduser())})
    if item.path is not None and item.path.startswith(("./", "../")):
        return item.model_copy(update={"path": str((folder / item.path).resolve())})
    return item
