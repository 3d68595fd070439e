"""A classification task: its texts, its labels, and where its real rows come from."""

from typing import Annotated, Any, Literal

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field, field_validator

from tasks.config.fields import LANGUAGE, NAME, File, Frozen, OptionalFile, hub_or_folder, string_keys


class TextColumns(Frozen):
    """Which columns of a table hold texts and labels, and how raw labels become label names."""

    text: str = "text"
    """Column that holds the text. A list of tokens is joined with spaces."""
    label: str = "label"
    """Column that holds the label. If its values are lists, only rows whose list gives exactly one label are used."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Label name for values of the column (as strings). A value that is not listed is a label name itself, or the
    number of a class that the hub data set names."""
    only_mapped: bool = False
    """Leave out rows whose value is not in ``label_map``, to use a part of a larger data set."""

    @field_validator("label_map", mode="before")
    @classmethod
    def _quoted(cls, value: Any) -> Any:
        return string_keys(value)


class Columns(TextColumns):
    """Which columns of a table hold texts, labels and the agreement of raters."""

    agreement: str | None = None
    """Column with the share of human raters who chose the label, 0 to 1."""


class FileSource(Columns):
    """The user's own files."""

    kind: Literal["files"] = "files"
    train: File
    """CSV, TSV, JSONL or Parquet, relative to the task YAML."""
    test: OptionalFile = None
    """The same for test rows; null splits test rows off the training file (``test_share``)."""


class HubSource(Columns):
    """A data set on the Hugging Face hub."""

    kind: Literal["hub"]
    path: Annotated[str, AfterValidator(hub_or_folder)]
    """Repository, such as ``stanfordnlp/imdb``, or a local folder of data files (``./rows``)."""
    config: str | None = None
    """Configuration (subset) of the data set."""
    revision: str | None = None
    """Commit; null reads the newest one, which is not reproducible, and a message says so."""
    train: str = "train"
    """Name of the split with training rows."""
    test: str | None = "test"
    """Name of the split with test rows; null splits them off the training rows (``test_share``)."""


class WheelSource(Frozen):
    """Files in a Python package (wheel), which are read from the archive without installing it."""

    kind: Literal["wheel"]
    package: str
    """Name in the package registry."""
    version: str
    """Exact version."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the wheel file, in hex."""
    members: tuple[str, ...] = Field(min_length=1)
    """Paths inside the wheel."""
    reader: str
    """Name of the reader in ``tasks.data.readers`` that turns the members into examples."""

    @field_validator("package")
    @classmethod
    def _package_name(cls, name: str) -> str:
        """Accepts a name only, because pip would also accept options, addresses and files as a requirement."""
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

    name: str = Field(pattern=NAME, max_length=80)
    """Name of the task in studies and results. The file of a shipped task is called ``<name>.yaml``."""
    title: str
    """Title in reports: one line."""
    text: str
    """What one text is, as a noun phrase for prompts: ``a text message (SMS)``."""
    context: str
    """Sentences that begin each prompt: what situation the LLM should imagine."""
    labels: dict[str, str] = Field(min_length=2)
    """For each label name what it means, as a noun phrase for prompts."""
    max_words: int = Field(default=60, gt=0)
    """Most words that the LLM is asked for. A text of more than twice as many is rejected (filter ``over_long``)."""
    style: str = ""
    """How such texts are written, as a phrase for prompts: ``short and informal``."""
    language: str | None = Field(default="en", pattern=LANGUAGE)
    """Language of the texts as an ISO 639-1 code such as ``de`` (Norwegian needs quotes: ``"no"``). Generated texts in
    another language are rejected. Null accepts any language."""
    sources: tuple[Source, ...] = Field(min_length=1)
    """Where real rows come from. The first available source is used. If none is of kind ``files``, the data directory
    (``SYNTHGAP_DATA_DIR``) is tried first."""
    test_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the rows that is split off as test rows if the source has no test rows, 0 to 1."""
    licence: str = "not stated"
    """Licence of the real rows, as the source states it."""
    citation: str = ""
    """How to cite the real rows."""

    @field_validator("labels", mode="before")
    @classmethod
    def _quoted(cls, value: Any) -> Any:
        return string_keys(value)

    @field_validator("labels")
    @classmethod
    def _named_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, meaning in labels.items():
            if not name.strip() or not meaning.strip():
                raise ValueError(f"label {name!r} has no description")
        return labels
