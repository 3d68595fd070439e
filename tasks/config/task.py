"""A classification task: its texts, its labels, and where its real rows come from."""

from typing import Annotated, Any, Literal

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field, field_validator

from tasks.config.fields import File, Frozen, OptionalFile, hub_or_folder, string_keys


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
        return string_keys(value)


class Columns(TextColumns):
    """The same, and which column holds how many raters agreed."""

    agreement: str | None = None
    """Column with the share of annotators behind the label, 0 to 1."""


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
    path: Annotated[str, AfterValidator(hub_or_folder)]
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
        return string_keys(value)

    @field_validator("labels")
    @classmethod
    def _named_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, meaning in labels.items():
            if not name.strip() or not meaning.strip():
                raise ValueError(f"label {name!r} has no description")
        return labels
