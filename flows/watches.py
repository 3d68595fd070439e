"""Watch files by name, like study files: those that come with the repository, and the user's own in ``<home>/watches``.

A file of the user's hides a shipped one of the same name.
"""

from pathlib import Path

from flows.studies import named_study
from tasks.config import Study, WatchConfig, load_study, load_watch
from tasks.errors import unknown
from tasks.settings import Settings

SHIPPED = Path(__file__).parent.parent / "deployments" / "watches"


def shipped_watches() -> dict[str, Path]:
    """The watches that come with the repository, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def find_watches(settings: Settings) -> dict[str, Path]:
    """All watches that have a name here, shipped and the user's, sorted by name."""
    own = {path.stem: path for path in (settings.home / "watches").glob("*.yaml") if path.is_file()}
    return dict(sorted({**shipped_watches(), **own}.items()))


def named_watch(name: str, settings: Settings) -> tuple[WatchConfig, Study]:
    """The watch of that name and its study. Raises ``UserError`` when there is none or a file is wrong."""
    found = find_watches(settings)
    if name not in found:
        raise unknown("watch", name, found)
    config = load_watch(found[name])
    return config, study_of(config, found[name], settings)


def study_of(config: WatchConfig, path: Path, settings: Settings) -> Study:
    """The study of a watch file: a path from there goes before a name. Raises ``UserError``."""
    beside = path.parent / config.study
    return load_study(beside) if beside.is_file() else named_study(config.study, settings)
