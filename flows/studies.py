"""Study files by name: those that come with the repository, and the user's own in ``<home>/studies``.

A name is a file's stem. A file of the user's hides a shipped one of the same name, so that a copy can be changed.
"""

import hashlib
from pathlib import Path

from tasks.config import Study, load_study
from tasks.errors import UserError
from tasks.settings import Settings

SHIPPED = Path(__file__).parent.parent / "deployments" / "studies"


def shipped_studies() -> dict[str, Path]:
    """The studies that come with the repository, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def own_folder(settings: Settings) -> Path:
    """Where a user's studies are found by name; a folder in it holds a study's results and is passed over."""
    return settings.home / "studies"


def find_studies(settings: Settings) -> dict[str, Path]:
    """All studies that have a name here, shipped and the user's, sorted by name."""
    own = {path.stem: path for path in own_folder(settings).glob("*.yaml") if path.is_file()}
    return dict(sorted({**shipped_studies(), **own}.items()))


def named_study(name: str, settings: Settings) -> Study:
    """The study of that name. Raises ``UserError`` when there is none or its file is wrong."""
    found = find_studies(settings)
    if name not in found:
        raise UserError(f"no study is called {name!r}. Give a path, or one of: {', '.join(found) or 'none'}")
    return load_study(found[name])


def read_study(reference: str, settings: Settings) -> Study:
    """The study at a path or of a name; a path that exists goes first. Raises ``UserError``."""
    path = Path(reference)
    return load_study(path) if path.is_file() else named_study(reference, settings)


def leading_comment(path: Path) -> str:
    """The comment that a study file begins with, as one paragraph; empty where there is none."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return " ".join(line for line in lines if line)


def fingerprint(path: Path) -> str:
    """Names the content of a study file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]
