"""Types that fields of several kinds of YAML files share: addresses, paths, names."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every config model: immutable; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Identified(Frozen):
    """Base of what a study may list several times with different settings."""

    NO_SETTINGS: ClassVar[frozenset[str]] = frozenset()
    """Fields that affect neither rows nor trainings."""

    @property
    def identity(self) -> dict[str, Any]:
        """Its ``model`` as ``name``, and each setting that differs from its default and affects rows or trainings."""
        settings = self.model_dump(mode="json", exclude_defaults=True, exclude=set(self.NO_SETTINGS))
        return {"name": settings.pop("model"), **settings}


NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Pattern of the names of studies, tasks, watches and ledgers, which become names of files."""
LANGUAGE = r"^[a-z]{2}$"
"""Pattern of ISO 639-1 codes."""
HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
"""A repository on the hub, with or without its owner."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
"""Name of an environment variable."""


def _address(value: str | None) -> str | None:
    """An address of an endpoint: http or https, with a host, and nothing that programs read in different ways."""
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
    """A path on this machine; addresses are refused."""
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


def hub_or_folder(value: str | None) -> str | None:
    """A repository on the hub, or a folder whose path begins with ``./``, ``../`` or ``/``."""
    if value is None or HUB_NAME.fullmatch(value):
        return value
    if _file(value) and value.startswith(("./", "../", "/")):
        return value
    raise ValueError("must be a repository on the hub such as stanfordnlp/imdb, or a folder such as ./rows")


def variable_name(name: str | None) -> str | None:
    """A variable's name. The message does not repeat the value, which may be the key itself."""
    if name is not None and not VARIABLE.fullmatch(name):
        raise ValueError("api_key_env must be the name of an environment variable (SYNTHGAP_KEY_MINE), not a key")
    return name


def string_keys(value: Any) -> Any:
    """A mapping with its keys as text. YAML reads a bare ``0`` as a number, and a bare ``no`` as false; the latter is
    refused, because the word is lost.
    """
    if not isinstance(value, dict):
        return value
    for key in value:
        if isinstance(key, bool) or key is None:
            raise ValueError(f"YAML reads a key here as {key}; write label names such as 'yes' and 'no' in quotes")
    return {str(key): item for key, item in value.items()}


def named(value: Any) -> Any:
    """A plain string stands for ``{model: string}``."""
    return {"model": value} if isinstance(value, str) else value


Address = Annotated[str | None, AfterValidator(_address)]
File = Annotated[str, AfterValidator(_file)]
OptionalFile = Annotated[str | None, AfterValidator(_file)]
