"""results.json as a file: its version, and what it refers to in the store.

The types of its content are in ``tasks/reporting/results.py``. References are read without them, so that results which
this version would refuse still protect their artifacts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from tasks.errors import RunError
from tasks.versions import check_version, is_version

RESULTS = "results.json"
SCHEMA = 2
"""Version of results.json; one of version 0 does not say it. Raised when an older synthgap would misread the file."""


@dataclass(frozen=True, slots=True)
class References:
    """What results refer to in the store."""

    created: str
    """ISO time of the run."""
    keys: tuple[str, ...]
    """Of syntheses and trials."""


def read_references(path: Path | str) -> References:
    """What the results in a file refer to.

    Raises ``FileNotFoundError`` where there is none, ``RunError`` where it is damaged or of a newer version.
    """
    with damage_as_error(path):
        content, _ = read_content(path)
        keys = [row["key"] for part in ("syntheses", "cells") for row in content[part]]
        return References(str(content["created"]), tuple(dict.fromkeys(filter(None, keys))))


@contextmanager
def damage_as_error(path: Path | str) -> Iterator[None]:
    """Raises ``RunError`` for whatever reading a damaged file raises."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    else:
        return
    raise RunError(f"the results in {str(path)!r} are damaged ({reason}); run the study again: stored work is kept")


def read_content(path: Path | str) -> tuple[Any, int]:
    """The object in a file and its version. Raises ``RunError`` for a newer one."""
    content = from_json(Path(path).read_bytes())
    schema = content.get("schema", 0)
    if not is_version(schema):
        raise ValueError("schema: no version")
    check_version(f"{str(path)!r}", schema, SCHEMA, "run the study again in another SYNTHGAP_HOME")
    return content, schema
