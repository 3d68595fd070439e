"""Study and watch files by name: the shipped ones, and the user's own in the home folder.

A name is a file's stem. A file of the user hides a shipped one of the same name, so that a copy can be changed.
"""

import hashlib
from pathlib import Path

from tasks.config.study import Study, load_study
from tasks.config.watch import WatchConfig, load_watch
from tasks.errors import unknown
from tasks.settings import Settings

SHIPPED = Path(__file__).parents[2] / "deployments"
STUDIES, WATCHES = "studies", "watches"
"""Folders in ``SHIPPED`` and in the home folder. A folder in ``studies`` holds a study's results and is ignored."""


def shipped_studies() -> dict[str, Path]:
    """The shipped studies, by name."""
    return _files(SHIPPED / STUDIES)


def find_studies(settings: Settings) -> dict[str, Path]:
    """All studies that can be named, shipped ones and the user's, sorted by name."""
    return dict(sorted({**shipped_studies(), **_files(settings.home / STUDIES)}.items()))


def named_study(name: str, settings: Settings) -> Study:
    """The study of that name. Raises ``UserError`` if there is none or its file is wrong."""
    found = find_studies(settings)
    if name not in found:
        raise unknown("study", name, found, also="or the path of a study YAML")
    return load_study(found[name])


def read_study(reference: str, settings: Settings) -> Study:
    """The study at a path or of a name; an existing path has priority. Raises ``UserError``."""
    path = Path(reference)
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_study(path)
    return load_study(path) if path.is_file() else named_study(reference, settings)


def shipped_watches() -> dict[str, Path]:
    """The shipped watches, by name."""
    return _files(SHIPPED / WATCHES)


def find_watches(settings: Settings) -> dict[str, Path]:
    """All watches that can be named, shipped ones and the user's, sorted by name."""
    return dict(sorted({**shipped_watches(), **_files(settings.home / WATCHES)}.items()))


def named_watch(name: str, settings: Settings) -> tuple[WatchConfig, Study]:
    """The watch of that name and its study. Raises ``UserError`` if there is none or a file is wrong."""
    found = find_watches(settings)
    if name not in found:
        raise unknown("watch", name, found)
    config = load_watch(found[name])
    return config, study_of(config, found[name], settings)


def study_of(config: WatchConfig, path: Path, settings: Settings) -> Study:
    """The study of a watch file; an existing path from there has priority over a name. Raises ``UserError``."""
    beside = path.parent / config.study
    return load_study(beside) if beside.is_file() else named_study(config.study, settings)


def leading_comment(path: Path) -> str:
    """The comment at the beginning of a file, as one paragraph; empty if there is none."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return " ".join(line for line in lines if line)


def fingerprint(path: Path) -> str:
    """A short hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.is_file()}
