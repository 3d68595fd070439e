"""The examples of docs/EXTENDING.md, built from the page itself in a copy of the packages, work as the page says."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.endpoint import Endpoint, Reply, chat
from tests.test_docs import FENCE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/EXTENDING.md").read_text(encoding="utf-8")
COPIED = ("flows", "tasks", "deployments", "tests", "pyproject.toml")
UNUSED = shutil.ignore_patterns("__pycache__", "fixtures", "browser", "lock")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
DATA = (".csv", ".jsonl")
"""Files that have no comments: the line that names one is not part of it."""


def files(section: str) -> dict[str, str]:
    """What the code blocks of a section hold, by the file that their first lines name."""
    found = {}
    for kind, text in FENCE.findall(SECTIONS[section]):
        if kind == "diff":
            continue
        first, _, rest = text.partition("\n")
        if named := re.fullmatch(r"(?:#|<!--) (\S+\.\w+)(?: -->)?", first):
            found[named[1]] = rest if named[1].endswith(DATA) else text
    return found


def changes(section: str) -> list[tuple[str, str, str]]:
    """The lines that a section changes: file, lines before, lines after."""
    found = []
    for kind, text in FENCE.findall(SECTIONS[section]):
        if kind == "diff":
            first, *lines = text.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if not line.startswith("+"))
            after = "".join(line[1:] for line in lines if not line.startswith("-"))
            found.append((first.removeprefix("# ").strip(), before, after))
    return found


BUILT = {section: found for section in SECTIONS if (found := files(section))}
TESTED = {section: [name for name in found if name.startswith("tests/")] for section, found in BUILT.items()}

STUDIES = [name for found in BUILT.values() for name in found if re.fullmatch(r"\w+\.yaml", name)]


class Writer(Endpoint):
    """Writes another text with every answer."""

    def __init__(self) -> None:
        super().__init__((200, {}, {}))

    def reply(self, body: dict[str, object]) -> Reply:
        words = ("parcel", "money", "order", "driver", "lamp", "kettle", "courier", "refund", "shoes", "Monday", "box")
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": " ".join(random.choices(words, k=9))},
                "finish_reason": "stop",
            }
            for index in range(int(str(body.get("n", 1))))
        ]
        usage = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
        return 200, {}, {**chat()[2], "model": body["model"], "choices": choices, "usage": usage}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with all examples of the page in it."""
    place = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=UNUSED)
        else:
            shutil.copy(source, place)
    for found in BUILT.values():
        for name, text in found.items():
            path = place / name
            assert not path.exists(), f"{name} is there already: an example is made of new files"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name, before, after in (change for section in SECTIONS for change in changes(section)):
        text = (place / name).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} has these lines {text.count(before)} times:\n{before}"
        (place / name).write_text(text.replace(before, after), encoding="utf-8")
    return place


def run(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SYNTHGAP_"))}
    ours = {"PYTHONPATH": str(place), "SYNTHGAP_HOME": str(place / "home"), "COLUMNS": "250"}
    command = (sys.executable, *command)
    return subprocess.run(
        command, cwd=place, env={**theirs, **ours}, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def outcomes(place: Path) -> dict[str, list[str]]:
    """What went wrong in each test file of the examples that was run."""
    names = [name for found in TESTED.values() for name in found]
    done = run(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml=report.xml", *names)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for case in ElementTree.parse(place / "report.xml").iter("testcase"):
        wrong = found.setdefault(f"{case.get('classname', '').replace('.', '/')}.py", [])
        wrong += [f"{case.get('name')}: {problem.text}" for problem in case]
    return found


@pytest.mark.parametrize("section", [section for section, found in TESTED.items() if found])
def test_the_examples_own_tests_pass(section, outcomes):
    for name in TESTED[section]:
        assert not outcomes[name], "\n".join(outcomes[name])


def test_the_examples_keep_to_the_style_of_the_code(place):
    names = [name for found in BUILT.values() for name in found if name.endswith(".py")]
    for check in (("check",), ("format", "--check")):
        done = run(place, "-m", "ruff", *check, "--no-cache", *names)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("study", STUDIES)
def test_the_examples_studies_can_be_planned(study, place):
    done = run(place, "-m", "flows.cli", "plan", study, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["calls"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_the_examples_studies_run(study, place):
    writer = Writer()
    config = yaml.safe_load((place / study).read_text(encoding="utf-8"))
    for generator in config["generators"]:
        generator["api_base"] = writer.url
    (place / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = run(place, "-m", "flows.cli", "run", "run.yaml", "--json")
    writer.server.shutdown()
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert {cell["arm"]["mode"] for cell in results["cells"]} >= set(config["modes"])
    assert all(cell["status"] == "ok" for cell in results["cells"])
