"""What `make setup` takes and refuses; that the lock serves every Python and platform which README.md names."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "deployments/lock/requirements.txt").read_text(encoding="utf-8")
PLATFORMS = {
    "Linux x86-64": ("linux", "x86_64"),
    "Linux arm64": ("linux", "aarch64"),
    "macOS arm64": ("darwin", "arm64"),
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = [(python, platform) for python in PYTHONS for platform in PLATFORMS]

OTHER_PYTHON = """#!/bin/sh
exec {python} -c 'import sys; sys.version_info = {version}; exec(sys.argv[2])' "$@"
"""


def locked(python: str, platform: str) -> dict[str, Requirement]:
    """What pip takes from the lock on a machine."""
    system, machine = PLATFORMS[platform]
    environment = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
    }
    lines = re.findall(r"^([A-Za-z].*?) \\$", LOCK, re.MULTILINE)
    taken = [one for one in map(Requirement, lines) if one.marker is None or one.marker.evaluate(environment)]
    names = [canonicalize_name(one.name) for one in taken]
    assert len(names) == len(set(names)), "one version of a package for one machine"
    return dict(zip(names, taken, strict=True))


@pytest.mark.parametrize(("python", "platform"), MACHINES)
def test_the_lock_holds_what_the_project_asks_for(python, platform):
    found = locked(python, platform)
    extra = PROJECT["optional-dependencies"]["dev"]
    for asked in map(Requirement, [*PROJECT["dependencies"], *extra]):
        if asked.name == "torch":
            continue
        (pin,) = found[canonicalize_name(asked.name)].specifier
        assert pin.operator == "==" and asked.specifier.contains(pin.version), asked
    assert ("whenever" in found) == (python in ("3.13", "3.14")), "Prefect imports it from Python 3.13 on"


def test_the_lock_has_a_hash_for_everything_and_no_address():
    entries = re.split(r"^(?=[A-Za-z])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 200
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK and not re.search(r"^--?[a-z]", LOCK, re.MULTILINE)


def test_torch_and_what_only_some_of_its_builds_need_stay_outside_the_lock():
    names = re.findall(r"^([A-Za-z][\w.-]*)==", LOCK, re.MULTILINE)
    assert not [name for name in names if re.match(r"torch$|nvidia|cuda|triton|pywin32", name)]


def test_one_version_of_torch_is_named_everywhere():
    wanted = next(one for one in PROJECT["dependencies"] if one.startswith("torch"))
    for path in ("Makefile", "deployments/Dockerfile"):
        named = set(re.findall(r"torch==[\w.]+", (ROOT / path).read_text(encoding="utf-8")))
        assert named == {wanted}, path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "pyproject.toml").touch()
    ours = {name: value for name, value in os.environ.items() if "MAKE" not in name}  # this may be run by make
    env = {name: value for name, value in ours.items() if name not in ("PYTHON", "TORCH")}  # which exports its choices
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("version", "said"), [((3, 10, 13), "3.10.13"), ((3, 15, 0), "3.15.0"), ((2, 7, 18), "2.7.18")]
)
def test_another_python_is_refused_in_one_line_before_anything_is_installed(tmp_path, version, said):
    other = tmp_path / "other"
    other.write_text(OTHER_PYTHON.format(python=sys.executable, version=version))
    other.chmod(0o755)
    done = make(tmp_path, "demo", f"PYTHON={other}")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"synthgap needs Python 3.11 to 3.14, but {other} is {said}; name another one" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_not_there_is_said_in_one_line(tmp_path):
    done = make(tmp_path, "test", "PYTHON=no-such-python")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "but no-such-python is not to be found" in done.stderr


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 2)])
def test_supported_pythons_are_taken(tmp_path, version):
    other = tmp_path / "other"
    other.write_text(OTHER_PYTHON.format(python=sys.executable, version=version))
    other.chmod(0o755)
    done = make(tmp_path, "--dry-run", "setup", f"PYTHON={other}", "TORCH=torch==2.13.0 --index-url URL")
    assert done.returncode == 0, done.stderr
    assert "install --no-compile torch==2.13.0 --index-url URL\n" in done.stdout


def test_windows_is_refused_in_one_line(tmp_path):
    done = make(tmp_path, "demo", "OS=Windows_NT")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "synthgap does not run on Windows itself" in done.stderr


def test_the_makefile_and_the_package_name_the_same_pythons():
    assert PROJECT["requires-python"] == ">=3.11,<3.15"


@pytest.mark.parametrize("stale", [True, False])
def test_another_choice_than_what_is_installed_is_refused_in_one_line(tmp_path, stale):
    (tmp_path / ".venv").mkdir()
    chosen, ready = f"PYTHON={sys.executable}", tmp_path / ".venv" / ".ready"
    ready.write_text(f"[{chosen}] [TORCH=torch==2.13.0]\n")
    options = ["--dry-run", "setup", *([] if stale else ["--old-file=pyproject.toml"])]
    assert make(tmp_path, *options).returncode == 0
    assert make(tmp_path, *options, chosen, "TORCH=torch==2.13.0").returncode == 0
    for other in ("TORCH=torch==2.13.0 --index-url URL", "PYTHON=python3"):
        done = make(tmp_path, *options, other)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert f".venv was made without {other}; run `make clean` first" in done.stderr
