"""Tasks by name: those that come with the package, a YAML each, and the user's own by path."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.config import FileSource, TaskConfig, parse, read_yaml
from tasks.errors import UserError

CATALOG = Path(__file__).parent / "catalog"


def names() -> list[str]:
    """Ids of the catalog's tasks, sorted."""
    return sorted(path.stem for path in CATALOG.glob("*.yaml"))


def find_task(reference: str, folder: Path) -> TaskConfig:
    """The task that a study means by ``reference``: a catalog id, or a path of a YAML relative to ``folder``.

    An id always means the catalog's task, whatever files lie about; a path (it ends in .yaml or .yml) always means
    the file, even one whose ``name`` is a catalog id. Raises ``UserError`` when it is neither or the file is wrong.
    """
    if reference in names():
        return read_task(CATALOG / f"{reference}.yaml")
    path = Path(reference).expanduser()
    path = path if path.is_absolute() else folder / path
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise _unknown(reference, "it is no catalog id, and no path that ends in .yaml")
    if not path.is_file():
        raise _unknown(reference, f"no such file: {str(path)!r}")
    return read_task(path)


def read_task(path: Path) -> TaskConfig:
    """The task in a YAML file, with the paths of its files absolute."""
    return make_task(read_yaml(path), path.resolve())


def make_task(value: Mapping[str, Any], path: Path) -> TaskConfig:
    """The task that a YAML at ``path`` describes; its files are looked for from the YAML's folder."""
    task = parse(TaskConfig, dict(value), f"task {path.name}")
    sources = [
        source.model_copy(update=_absolute(source, path.parent)) if isinstance(source, FileSource) else source
        for source in task.sources
    ]
    return task.model_copy(update={"sources": tuple(sources)})


def _absolute(source: FileSource, folder: Path) -> dict[str, str]:
    named = {"train": source.train, "test": source.test}
    return {name: str(folder / Path(file).expanduser()) for name, file in named.items() if file is not None}


def _unknown(reference: str, reason: str) -> UserError:
    near = difflib.get_close_matches(reference, names(), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(
        f"unknown task {reference!r}: {reason}.{hint} Allowed: {', '.join(names())}, or the path of a task YAML"
    )
