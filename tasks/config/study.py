"""A study: the grid of cells and the rules that they share."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tasks.config.classifier import EMBEDDED_CLASSIFIER, Classifier, ClassifierConfig
from tasks.config.fields import NAME, File, Frozen, Identified, OptionalFile, hub_or_folder
from tasks.config.generator import EMBEDDED_GENERATOR, Generator, GeneratorConfig
from tasks.config.parameters import Named
from tasks.config.reading import parse, read_yaml
from tasks.config.task import TextColumns
from tasks.errors import UserError

PERSONAS = (
    "You are a careful expert who follows definitions to the letter.",
    "You are a young person who spends a lot of time on social media.",
    "You are a retired teacher who reads newspapers every day.",
    "You are a busy parent who reads quickly and trusts first impressions.",
    "You are a sceptical engineer who doubts what is not stated outright.",
)
"""Roles of annotators and judges, unless a study names others."""
RENAMED = {"baselines": "untrained", "baseline_rows": "untrained_rows"}
"""Fields of a study by their names of earlier versions."""


class ImportConfig(TextColumns, Identified):
    """Synthetic rows that somebody else made, in a file (``file``) or in a hub data set (``path``)."""

    name: str = Field(min_length=1, max_length=80)
    """Name of the import in results, where generated rows have their LLM's name."""
    task: str
    """Name of the study's task that the rows belong to."""
    file: OptionalFile = None
    """CSV, TSV, JSONL or Parquet, relative to the study file."""
    path: Annotated[str | None, AfterValidator(hub_or_folder)] = None
    """Hugging Face hub repository, or a local folder of data files."""
    config: str | None = None
    """Configuration (subset) of the hub data set."""
    revision: str | None = None
    """Commit of the hub data set; null reads the newest one, which is not reproducible."""
    split: str = "train"
    """Split of the hub data set."""
    cost_usd: float | None = Field(default=None, ge=0)
    """What all rows of the source cost, in dollars; each text that is read counts with its share. Null if unknown."""

    @property
    def identity(self) -> dict[str, Any]:
        """The import's name. A task has one import of each name; the columns and files of the name differ from task to
        task.
        """
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
    """Who rates how subjective texts and tasks are, if the data has no raters of its own."""

    annotators: tuple[Generator, ...] = ()
    """LLMs that label test rows, each of them once in the role of each persona. Without annotators, only tasks whose
    data has raters get an agreement."""
    personas: tuple[str, ...] = Field(default=PERSONAS, min_length=1)
    """Roles that annotators and judges take: sentences, one of which begins each prompt."""
    items: int = Field(default=100, gt=0)
    """Test rows of each task that annotators label."""
    judges: tuple[Generator, ...] = ()
    """LLMs that compare pairs of tasks and say which one is more objective."""
    comparisons: int = Field(default=540, gt=0)
    """Number of comparisons of two tasks, of all judges together; 540 in the paper."""
    judgements: OptionalFile = None
    """CSV file of human judgements with columns ``judge``, ``objective`` and ``subjective`` (task names), relative to
    the study file. They are used together with those of ``judges``."""


class StudyConfig(Frozen):
    """A grid of cells (task x mode x generator x classifier x seed) and the rules that they share."""

    name: str = Field(pattern=NAME, max_length=80)
    """Names the MLflow experiment, the report folder and the Prefect deployment."""
    tasks: tuple[File, ...] = Field(min_length=1)
    """Names of shipped tasks (``synthgap tasks`` lists them), or paths of task YAMLs relative to the study file."""
    modes: tuple[Named, ...] = Field(min_length=1)
    """Where training rows come from: real, zero_shot, few_shot, ... With ``mix/50``, half of the rows are generated;
    ``{few_shot: {examples: 8}}`` is a mode with a parameter."""
    generators: tuple[Generator, ...] = (GeneratorConfig(model=EMBEDDED_GENERATOR),)
    """LLMs, each by its litellm name or as an object with further fields."""
    classifiers: tuple[Classifier, ...] = (ClassifierConfig(model=EMBEDDED_CLASSIFIER),)
    """Classifiers to train, each by its name or as an object with further fields."""
    filters: tuple[Named, ...] | None = None
    """Filters that reject generated texts, in this order, such as ``[duplicate, {near_duplicate: {jaccard: 0.8}}]``;
    null takes the default filters. Empty texts are always rejected first."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Each cell is trained once for each seed; gaps are paired by seed."""
    rows_per_label: int = Field(default=100, gt=0)
    """Training rows for each label, synthetic and real alike. A label that has fewer real rows gets that many."""
    synthesis_per: Literal["study", "seed"] = "study"
    """``study``: all seeds use the same draw of training rows; ``seed``: each seed has a draw of its own."""
    test_rows: int | None = Field(default=1000, gt=0)
    """Number of real test rows, stratified by label; null takes all."""
    reference_rows: int | None = Field(default=2000, ge=0)
    """Rows of ``real_full``, the reference with real rows in their natural label shares; null takes all training rows,
    0 leaves it out."""
    pool_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the real training rows that few-shot prompts may show."""
    pool_rows_per_label: int | None = Field(default=None, gt=0)
    """Most real rows of each label that prompts may show; null: only ``pool_share`` limits them."""
    imports: tuple[ImportConfig, ...] = ()
    """Synthetic rows from elsewhere, for the mode ``imported``."""
    extra_texts: float = Field(default=2.0, ge=0)
    """Most additional texts that are asked for to replace rejected ones, as a multiple of the rows wanted. If rows are
    still missing then, the results say so."""
    budget_usd: float | None = Field(default=1.0, ge=0)
    """Most dollars that a run may spend on LLM calls; null sets no limit."""
    budget_tokens: int | None = Field(default=None, ge=0)
    """Most tokens, read and written, that a run may use in LLM calls; null sets no limit."""
    account: str | None = Field(default=None, pattern=NAME, max_length=120)
    """Name of a ledger. All runs with the same account share it, and the budgets limit all of them together. Null: each
    run has its own."""
    log_models: bool = True
    """After the run, log the model of each task's best generated or imported rows to MLflow. It is registered as the
    task's champion if it is better than the registered one beyond chance."""
    untrained: tuple[str, ...] = ("majority",)
    """Arms for comparison that train nothing: majority (always the most frequent label), llm_zero_shot and llm_few_shot
    (each generator classifies the test rows itself, which costs LLM calls)."""
    untrained_rows: int | None = Field(default=200, gt=0)
    """Number of test rows that an LLM classifies, stratified by label; null takes all test rows of the study."""
    subjectivity: SubjectivityConfig | None = None
    """Who rates how subjective tasks and texts are; null uses the raters of the data, if it has any."""
    tolerance: float = Field(default=0.02, gt=0, lt=1)
    """Loss of macro-F1 (0.02 is 2 points) that you would accept for not labelling. The verdict compares the gap with
    it."""
    trainings: int = Field(default=1, gt=0)
    """Number of trainings at a time, each in a process of its own."""
    syntheses: int = Field(default=2, gt=0)
    """Number of syntheses at a time; ``concurrency`` of the generator limits the calls of each."""

    @model_validator(mode="before")
    @classmethod
    def _current_names(cls, fields: Any) -> Any:
        """Renames the fields of older study files and stored results to their present names."""
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
    fields = read_yaml(path)
    if "labels" in fields and "modes" not in fields:
        raise UserError(f"{str(path)!r} is a task, not a study; list it under `tasks:` in a study file")
    config = parse(StudyConfig, fields, f"study {path.name}")
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
