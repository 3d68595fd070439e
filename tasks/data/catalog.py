"""Tasks by name: the shipped ones, a YAML each, and the user's own by path."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.config import FileSource, TaskConfig, parse, read_yaml
from tasks.errors import unknown

CATALOG = Path(__file__).parent / "catalog"
OR_PATH = "or the path of a task YAML"


def names() -> list[str]:
    """Names of the shipped tasks, sorted."""
    return sorted(path.stem for path in CATALOG.glob("*.yaml"))


def find_task(reference: str, folder: Path) -> TaskConfig:
    """The task that a study means by ``reference``: a shipped task's name, or a YAML's path relative to ``folder``.

    A name always means the shipped task, whatever files exist; a path (it ends in .yaml or .yml) always means the file,
    even one whose ``name`` is that of a shipped task. Raises ``UserError`` if it is neither or the file is wrong.
    """
    if reference in names():
        return read_task(CATALOG / f"{reference}.yaml")
    path = Path(reference).expanduser()
    path = path if path.is_absolute() else folder / path
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise unknown("task", reference, names(), "it is no shipped task, and no path that ends in .yaml", OR_PATH)
    if not path.is_file():
        raise unknown("task", reference, names(), f"no such file: {str(path)!r}", OR_PATH)
    return read_task(path)


def read_task(path: Path) -> TaskConfig:
    """The task in a YAML file, with the paths of its files absolute."""
    return make_task(read_yaml(path), path.resolve())


def make_task(value: Mapping[str, Any], path: Path) -> TaskConfig:
    """The task that a YAML at ``path`` describes; paths of its files are relative to the YAML's folder."""
    task = parse(TaskConfig, dict(value), f"task {path.name}")
    sources = [
        source.model_copy(update=_absolute(source, path.parent)) if isinstance(source, FileSource) else source
        for source in task.sources
    ]
    return task.model_copy(update={"sources": tuple(sources)})


def _absolute(source: FileSource, folder: Path) -> dict[str, str]:
    named = {"train": source.train, "test": source.test}
    return {name: str(folder / Path(file).expanduser()) for name, file in named.items() if file is not None}
