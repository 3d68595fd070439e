"""What a user writes: a study and a task, each one YAML file, parsed once here into frozen models.

Everything downstream reads typed attributes. Names of modes, classifiers and filters are checked against their
tables in ``planning``, because the tables live in rooms that come after this one.
"""

import json
import re
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

import yaml
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from tasks.errors import UserError
from tasks.params import complaint_about
from tasks.secrets import holds_secret, secret_format, secrets, values_to_find

M = TypeVar("M", bound="Frozen")

EMBEDDED_GENERATOR = "embedded/smollm2-135m-instruct"
EMBEDDED_CLASSIFIER = "embedded/minilm-l6"
PERSONAS = (
    "You are a careful expert who follows definitions to the letter.",
    "You are a young person who spends a lot of time on social media.",
    "You are a retired teacher who reads newspapers every day.",
    "You are a busy parent who reads quickly and trusts first impressions.",
    "You are a sceptical engineer who doubts what is not stated outright.",
)
"""Roles of annotators, unless a study names others."""


HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
"""A repository on the hub, with or without its owner."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
"""Name of an environment variable."""
MOST_BYTES, MOST_VALUES, DEEPEST = 4 * 1024 * 1024, 200_000, 40
"""A YAML file, what it holds when its aliases are written out, and how deep it nests: far more than a study or task of
a thousand labels needs."""


class Frozen(BaseModel):
    """Base of every config model: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _address(value: str | None) -> str | None:
    """An address of an endpoint: http or https, a host, nothing that is read in two ways."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or "#" in value or re.search(r"[\s\\\x00-\x1f\x7f]", value):
        raise ValueError("write an address such as https://host/v1 or http://127.0.0.1:8000/v1")
    return value


def _file(value: str | None) -> str | None:
    """A path on this machine: nothing here reads an address."""
    if value is not None and ("://" in value or "::" in value or "\0" in value):
        raise ValueError("must be a path on this machine, not an address; download it and name the file")
    if value is not None and value.startswith("~"):
        _home_of(value)
    return value


def _home_of(path: str) -> None:
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError("begins with ~ and names a user who has no home here") from None


def _hub_or_folder(value: str | None) -> str | None:
    """A repository on the hub, or a folder, which begins with ``./``, ``../`` or ``/``."""
    if value is None or HUB_NAME.fullmatch(value):
        return value
    if _file(value) and value.startswith(("./", "../", "/")):
        return value
    raise ValueError("must be a repository on the hub such as stanfordnlp/imdb, or a folder such as ./rows")


def _variable(name: str | None) -> str | None:
    """A variable's name; the message does not repeat what may be the key itself."""
    if name is not None and not VARIABLE.fullmatch(name):
        raise ValueError("api_key_env must be the name of an environment variable (SYNTHGAP_KEY_MINE), not a key")
    return name


def misleading(model: str) -> str | None:
    """Why a model's name cannot be called by; null where it can.

    Some of litellm's providers send a call to an address in the model's name, others put the name into a URL's path.
    """
    if "://" in model or re.search(r"^[^/]*/https?:", model):
        return "holds an address; name the server in api_base and the model in model"
    if re.search(r"(?:^|/)\.\.(?:/|$)|[\\?#%\x00-\x1f\x7f]", model):
        return "must not hold '..', '?', '#', '%', a backslash or a control character"
    return None


def _callable(generator: "GeneratorConfig") -> "GeneratorConfig":
    if why := misleading(generator.model):
        raise ValueError(f"model {generator.model!r} {why}")
    return generator


Address = Annotated[str | None, AfterValidator(_address)]
File = Annotated[str, AfterValidator(_file)]
OptionalFile = Annotated[str | None, AfterValidator(_file)]


class PriceConfig(Frozen):
    """What an LLM costs, in dollars per million tokens."""

    input: float = Field(ge=0)
    """Of prompts."""
    output: float = Field(ge=0)
    """Of answers."""


class GeneratorConfig(Frozen):
    """One LLM and how it samples. In a study, a plain string stands for ``{model: string}``."""

    model: str = Field(min_length=1)
    """litellm model name, such as ``openai/gpt-4o-mini`` or ``embedded/smollm2-135m-instruct``."""
    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature; null leaves it to the provider, or to the embedded model's tuned default."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Longest answer in tokens; null derives it from the task's ``max_words``."""
    api_base: Address = None
    """Address of an OpenAI-compatible endpoint of your own. What it wrote is kept under this address, because another
    server may serve other weights by the same name. A provider's API key goes to the provider's own hosts only."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; null takes the provider's own (``OPENAI_API_KEY``), and no
    key for an ``api_base`` that is not the provider's. For such an address the operator must have released the
    variable: its name begins with ``SYNTHGAP_KEY_``, or ``SYNTHGAP_KEYS`` lists it."""
    endpoint: str | None = None
    """Name of the server that what it wrote is kept under instead, so that its calls are found again when it moves:
    give it one, or after a move the old address."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further sampling parameters, passed to litellm as they are (``top_p``, ``min_p``, ...)."""
    completions: int | None = Field(default=None, gt=0)
    """Texts drawn from one prompt (``n``), which is paid for once; null draws 1, from the embedded model 4. A provider
    that gives fewer is asked more often."""
    texts_per_call: int = Field(default=1, gt=0, le=100)
    """Texts asked for in one answer, which spares prompts; each is judged by itself."""
    json_schema: bool | None = None
    """Several texts are asked for as JSON by a schema, rather than as a numbered list; null does so where litellm's
    table says that the model takes one."""
    price: PriceConfig | None = None
    """What the model costs, where litellm's table does not know or you pay another price."""
    concurrency: int = Field(default=64, gt=0)
    """Most calls in flight at once; how many the provider bears is found by asking."""
    requests_per_minute: int | None = Field(default=None, gt=0)
    """Provider limit on calls, where it is known."""
    tokens_per_minute: int | None = Field(default=None, gt=0)
    """Provider limit on tokens, where it is known; a call counts with the most that it can take."""
    timeout: float = Field(default=60, gt=0)
    """Seconds after which a call counts as failed and is retried."""

    @model_validator(mode="after")
    def _params_only_sample(self) -> Self:
        """What is reserved and paid for, and where calls go, is not a matter of ``params``."""
        _variable(self.api_key_env)
        for name, value in self.params.items():
            if why := complaint_about(name, value, self.max_tokens):
                raise ValueError(f"params.{name} of generator {self.model!r}: {why}")
        return self


class ClassifierConfig(Frozen):
    """One trainable classifier and its hyper-parameters. A plain string stands for ``{model: string}``."""

    model: str = Field(min_length=1)
    """``embedded/minilm-l6``, any encoder on the hub, or a local folder."""
    revision: str | None = None
    """Commit of a hub encoder; null takes the hub's newest."""
    epochs: int = Field(default=3, gt=0)
    """Passes over the training rows."""
    min_steps: int = Field(default=50, gt=0)
    """Fewest optimiser steps: small training sets are passed more often than ``epochs`` until it is reached."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW with linear warm-up and decay; null takes the classifier's tuned default."""
    batch_size: int = Field(default=16, gt=0)
    """Rows per optimiser step."""
    max_length: int = Field(default=128, gt=0, le=4096)
    """Tokens of a text that the encoder reads."""


def _string_keys(value: Any) -> Any:
    """YAML reads a bare ``0`` as a number, which is meant as text, and ``no`` as a truth value, which is lost."""
    if not isinstance(value, dict):
        return value
    for key in value:
        if isinstance(key, bool) or key is None:
            raise ValueError(f"YAML reads a key here as {key}; write label names such as 'yes' and 'no' in quotes")
    return {str(key): item for key, item in value.items()}


def _from_name(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


Generator = Annotated[GeneratorConfig, BeforeValidator(_from_name), AfterValidator(_callable)]
Classifier = Annotated[ClassifierConfig, BeforeValidator(_from_name)]


class TextColumns(Frozen):
    """Which columns of a table hold texts and labels, and how raw labels become label names."""

    text: str = "text"
    """Column that holds the text; a list of tokens is joined with spaces."""
    label: str = "label"
    """Column that holds the label; of a list-valued one, rows whose labels come to exactly one name are used."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Raw label value (as a string) to label name; empty takes the values, or a class label's names, as they are."""
    only_mapped: bool = False
    """Leave out rows whose label is not in ``label_map`` (a part of a larger data set) instead of refusing them."""

    @field_validator("label_map", mode="before")
    @classmethod
    def _quoted(cls, value: Any) -> Any:
        return _string_keys(value)


class Columns(TextColumns):
    """The same, and which column holds how many raters agreed."""

    agreement: str | None = None
    """Column with the share of annotators behind the label, 0 to 1."""


class ImportConfig(TextColumns):
    """Synthetic rows that somebody else made, from a file or a hub data set: one of ``file`` and ``path``."""

    name: str = Field(min_length=1, max_length=80)
    """What they are called in results, in the place of a generator."""
    task: str
    """Name of the study's task that they are for."""
    file: OptionalFile = None
    """CSV, TSV, JSONL or Parquet, relative to the study file."""
    path: Annotated[str | None, AfterValidator(_hub_or_folder)] = None
    """Hub repository, or a local folder of data files."""
    config: str | None = None
    """Configuration (subset) of the hub data set."""
    revision: str | None = None
    """Commit of the hub data set; null is not reproducible."""
    split: str = "train"
    """Split of the hub data set."""
    cost_usd: float | None = Field(default=None, ge=0)
    """What all rows of the source cost; each text that is looked at counts with its share. Null where nobody knows."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.path is None):
            raise ValueError(f"import {self.name!r} needs either file or path")
        for name in ("config", "revision", "split"):
            if self.path is None and name in self.model_fields_set:
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
    modes: tuple[str, ...] = Field(min_length=1)
    """Where training rows come from: real, zero_shot, few_shot, ...; ``mix/50`` generates half of them."""
    generators: tuple[Generator, ...] = (GeneratorConfig(model=EMBEDDED_GENERATOR),)
    """LLMs by litellm name, with parameters if wanted."""
    classifiers: tuple[Classifier, ...] = (ClassifierConfig(model=EMBEDDED_CLASSIFIER),)
    """Classifiers to train."""
    filters: tuple[str, ...] | None = None
    """What rejects generated texts, in this order; null takes the default filters. Texts with nothing in them are
    rejected first in any case."""
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
    log_models: bool = False
    """Train the model of a task's best training rows once more, log it to MLflow and register it as the task's
    champion, where it is better beyond chance than the one that is registered."""
    baselines: tuple[str, ...] = ("majority",)
    """Rows of comparison that need no training data: majority (the most frequent label), llm_zero_shot and llm_few_shot
    (each generator classifies the test rows itself, which costs calls)."""
    baseline_rows: int | None = Field(default=200, gt=0)
    """Test rows that an LLM classifies, stratified by label; null takes all of the study's."""
    subjectivity: SubjectivityConfig | None = None
    """How subjective tasks and texts are found to be; null uses the data's own raters where there are any."""
    tolerance: float = Field(default=0.02, gt=0, lt=1)
    """Loss of macro-F1 that you would accept for not labelling; the verdict is about it."""
    trainings: int = Field(default=1, gt=0)
    """Trainings at once, each in a process of its own."""
    syntheses: int = Field(default=2, gt=0)
    """Syntheses at once; each has its generator's concurrency within."""

    @field_validator("tasks", "modes", "seeds", "generators", "classifiers", "filters", "baselines")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        listed = values or ()
        for i, value in enumerate(listed):
            if value in listed[:i]:
                raise ValueError(f"{getattr(value, 'model', value)!r} is listed twice")
        return values


class ProviderConfig(Frozen):
    """Somebody who serves LLMs and can be asked which. A plain string stands for ``{name: string}``."""

    name: str = Field(min_length=1)
    """litellm's name of the provider (``openai``, ``anthropic``, ``gemini``, ...), or ``embedded`` for the packaged
    LLMs."""
    api_base: Address = None
    """Address of an OpenAI-compatible endpoint of your own; ``/models`` below it is asked."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key, as for a generator."""
    include: tuple[str, ...] = ("*",)
    """Shell patterns of model names (without provider); a model must match one."""
    exclude: tuple[str, ...] = ()
    """Shell patterns of model names that are passed over: embeddings, speech, images, ..."""

    @property
    def address(self) -> str:
        """Tells providers apart, and one's own endpoints."""
        return self.api_base or self.name

    @model_validator(mode="after")
    def _named_variable(self) -> Self:
        _variable(self.api_key_env)
        return self

    def generator(self, model: str) -> GeneratorConfig:
        """One of its LLMs, by litellm's name, as a study would name it."""
        return GeneratorConfig(model=model, api_base=self.api_base, api_key_env=self.api_key_env)


Provider = Annotated[
    ProviderConfig, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
]


class WatchConfig(Frozen):
    """What to do when a provider serves an LLM that no study has seen."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    """Names the deployment and the monthly account."""
    study: File
    """The study that a new LLM is run in: a shipped study's name, or a path relative to the watch file."""
    providers: tuple[Provider, ...] = Field(min_length=1)
    """Who is asked."""
    most_usd_per_million: float | None = Field(default=10.0, ge=0)
    """Dearest price, in dollars per million tokens written, of an LLM that is tried; null sets none."""
    unknown_prices: bool = False
    """Try LLMs whose price is unknown, too: the monthly budget cannot hold those."""
    monthly_budget_usd: float = Field(default=10.0, ge=0)
    """Most dollars that smoke tests and the studies of new LLMs may spend in a calendar month, all together."""
    most_new: int = Field(default=3, gt=0)
    """New LLMs taken up at one look; others wait for the next."""
    smoke_rows_per_label: int = Field(default=2, gt=0)
    """Rows that a new LLM must write of the study's first task before the study is triggered; they are used there."""
    schedule: str | None = "0 6 * * *"
    """When providers are asked, as a cron expression; null: only when somebody starts the watch."""
    timezone: str = "UTC"
    """Time zone of the schedule, as the IANA database names it (``Europe/Berlin``)."""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        if name not in zoneinfo.available_timezones():
            raise ValueError("no such time zone; write one as Europe/Berlin")
        return name

    def account(self, month: str) -> str:
        """Name of the ledger of a calendar month (``2026-11``)."""
        return f"watch-{self.name}-{month}"


class FileSource(Columns):
    """The user's own files."""

    kind: Literal["files"] = "files"
    train: File
    """CSV, TSV, JSONL or Parquet, relative to the task YAML."""
    test: OptionalFile = None
    """Same; null splits the test set off the training file."""


class HubSource(Columns):
    """A data set on the Hugging Face hub."""

    kind: Literal["hub"]
    path: Annotated[str, AfterValidator(_hub_or_folder)]
    """Repository, such as ``stanfordnlp/imdb``; a local folder of data files is read the same way."""
    config: str | None = None
    """Configuration (subset) of the data set."""
    revision: str | None = None
    """Commit; null is not reproducible and the loader says so."""
    train: str = "train"
    """Name of the split with training rows."""
    test: str | None = "test"
    """Name of the split with test rows; null splits them off the training rows."""


class WheelSource(Frozen):
    """A member of a package wheel, read in place."""

    kind: Literal["wheel"]
    package: str
    """Name in the package registry."""
    version: str
    """Exact version."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the wheel file."""
    members: tuple[str, ...] = Field(min_length=1)
    """Paths inside the wheel."""
    reader: str
    """Name of the reader in ``tasks.data.readers`` that turns the members into examples."""

    @field_validator("package")
    @classmethod
    def _package_name(cls, name: str) -> str:
        """Only a name: as a requirement, pip takes options, addresses and files, too."""
        try:
            canonicalize_name(name, validate=True)
        except InvalidName:
            raise ValueError("must be the name of a package: letters, digits, '.', '_' and '-'") from None
        return name

    @field_validator("version")
    @classmethod
    def _exact_version(cls, version: str) -> str:
        try:
            Version(version)
        except InvalidVersion:
            raise ValueError("must be one exact version such as 1.2.3") from None
        return version


Source = Annotated[FileSource | HubSource | WheelSource, Field(discriminator="kind")]


class TaskConfig(Frozen):
    """A classification task: what its texts and labels are, and where real rows come from."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    """Identifies the task in results; a catalog file's stem equals it."""
    title: str
    """One line for people."""
    text: str
    """What one text is, as a noun phrase for prompts: ``a text message (SMS)``."""
    context: str
    """Context prompt: sets the scene for the LLM."""
    labels: dict[str, str] = Field(min_length=2)
    """Label name to what it means, a noun phrase for prompts."""
    max_words: int = Field(default=60, gt=0)
    """Longest text to ask for; a text over twice this is rejected as over-long."""
    style: str = ""
    """How such texts are written, for prompts."""
    language: str | None = Field(default="en", pattern=r"^[a-z]{2}$")
    """ISO 639-1 code of the texts' language (``"no"`` in quotes); generated texts in another are rejected. Null accepts
    any."""
    sources: tuple[Source, ...] = Field(min_length=1)
    """Tried in order: the first one that is available here is used. Before them, unless one is ``files``, comes the
    data directory of the settings."""
    test_share: float = Field(default=0.2, gt=0, lt=1)
    """Share split off as test rows where the source has no official test split."""
    licence: str = "not stated"
    """Licence of the real rows, as their source states it."""
    citation: str = ""
    """How to cite the real rows."""

    @field_validator("labels", mode="before")
    @classmethod
    def _quoted(cls, value: Any) -> Any:
        return _string_keys(value)

    @field_validator("labels")
    @classmethod
    def _named_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, meaning in labels.items():
            if not name.strip() or not meaning.strip():
                raise ValueError(f"label {name!r} has no description")
        return labels


class Study(Frozen):
    """A parsed study file: the config and the folder that its relative paths start from."""

    config: StudyConfig
    folder: Path

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        if not self.folder.is_absolute():
            raise ValueError(f"folder {str(self.folder)!r} must be absolute")
        return self


class _Loader(yaml.SafeLoader):
    """Refuses what a few lines can blow up: aliases of aliases, and nesting without an end."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._sizes: dict[int, int] = {}
        self._depth = self._values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node, counted with all that its aliases stand for."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError(f"it nests deeper than {DEEPEST}")
        alias, before = self.check_event(yaml.AliasEvent), self._values
        node = super().compose_node(parent, index)
        if alias and id(node) not in self._sizes:
            raise yaml.YAMLError("an alias stands inside what it names")
        self._values += self._sizes[id(node)] if alias else 1
        self._sizes.setdefault(id(node), self._values - before)
        if self._values > MOST_VALUES:
            raise yaml.YAMLError(f"it holds more than {MOST_VALUES} values")
        self._depth -= 1
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises ``UserError`` when it is missing, not UTF-8, malformed, too large, no mapping, or holds a secret, be it in a
    comment: a study's and a watch's first one is shown by Prefect.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UserError(f"{str(path)!r} is larger than {MOST_BYTES >> 20} MiB, which no study or task is")
        text = content.decode("utf-8-sig")
        value = yaml.load(text, _Loader)
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = str(getattr(error, "problem", error)).partition("\n")[0]
        raise UserError(f"{str(path)!r} is not valid YAML{where}: {problem}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, the 31st of February
        raise UserError(f"{str(path)!r} holds a value that YAML cannot read: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{str(path)!r} must hold a mapping of fields, not {type(value).__name__}")
    try:
        json.dumps(value, ensure_ascii=False, skipkeys=True, default=str).encode()
    except UnicodeEncodeError:  # YAML has escapes for it: no prompt, key or file could hold it
        raise UserError(f"{str(path)!r} holds half a character (a lone surrogate)") from None
    refuse_secrets(value, path.name)
    values = values_to_find()
    for number, line in enumerate(text.split("\n"), start=1):
        comment = line.partition("#")[2]  # links outside were judged by their fields
        if kind := secret_format(line, values, links=False) or secret_format(comment, values):
            raise _secret_error(path.name, f"line {number}", kind)
    return value


def refuse_secrets(value: Any, where: str) -> None:
    """Raises one ``UserError`` that names the fields of a study, task, watch or form that hold a secret."""
    if found := dict(secrets(value)):
        raise _secret_error(where, " and ".join(f"field {place!r}" for place in found), next(iter(found.values())))


def _secret_error(where: str, place: str, kind: str) -> UserError:
    return UserError(
        f"{where}: {place} holds what looks like a secret ({kind}), which whoever sees the file, Prefect, MLflow or a "
        "report would see; put it into the environment (OPENAI_API_KEY for openai/..., or a variable that api_key_env "
        "names)"
    )


def parse(model: type[M], value: dict[str, Any], where: str) -> M:
    """``value`` as a ``model``; raises one ``UserError`` that names each bad field, its value and what is allowed.

    A secret in it is refused before anything else, because messages repeat values.
    """
    refuse_secrets(value, where)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(_complaint(model, item) for item in error.errors())) from None


def _complaint(model: type[Frozen], item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(model.model_fields)) if len(item["loc"]) == 1 else "see the documentation"
        if holds_secret(str(item["loc"][-1])):
            return f"unknown field {place!r}; a key stays in the environment, and api_key_env names its variable"
        return f"unknown field {place!r}. Allowed: {allowed}"
    if item["type"] == "missing":
        return f"field {place!r} is missing"
    message = item["msg"].removeprefix("Value error, ")
    if isinstance(item["input"], dict | list | tuple):  # who wrote it knows it, and it may be long
        return f"field {place!r}: {message}" if place else message
    return f"field {place!r}: {message} (got {item['input']!r})"


def load_study(path: Path) -> Study:
    """The study in a YAML file. Raises ``UserError`` for anything in it that cannot be used."""
    path = path.resolve()
    config = parse(StudyConfig, read_yaml(path), f"study {path.name}")
    classifiers = tuple(_in_folder(classifier, path.parent) for classifier in config.classifiers)
    imports = tuple(_from_folder(item, path.parent) for item in config.imports)
    changed = {"classifiers": classifiers, "imports": imports, "subjectivity": _with_file(config, path.parent)}
    return Study(config=config.model_copy(update=changed), folder=path.parent)


def load_watch(path: Path) -> WatchConfig:
    """The watch in a YAML file. Raises ``UserError`` for anything in it that cannot be used."""
    return parse(WatchConfig, read_yaml(path), f"watch {path.name}")


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
