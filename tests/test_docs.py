"""Pages for people: their links lead somewhere, their YAML can be used, their tables are those of the code."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app
from tasks.config import StudyConfig, TaskConfig, WatchConfig, parse
from tasks.settings import Settings
from tests.reference import TABLES, renewed

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
OF_THE_PAST = ("CHANGELOG.md", "LOG.md")
"""Pages that say what was, with the names of then."""
LONGEST_README = 150
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(r"`((?:\w[\w.-]*/)+(?:[\w-]+\.(?:py|md|txt|json|yaml|html)|\w+/))`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
BASE = {"name": "study", "tasks": ["sms_spam"], "modes": ["real", "few_shot"]}
"""A study that the pages' fragments are put into."""


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Those that GitHub makes of a page's headings."""
    found: Counter[str] = Counter()
    for heading in HEADING.findall(prose(page)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        found[re.sub(r"[^\w\- ]", "", words).replace(" ", "-")] += 1
    return {f"{name}-{i}" if i else name for name, count in found.items() for i in range(count)}


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < LONGEST_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in OF_THE_PAST], ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    text = prose(page).split("## History")[0]
    examples = set(re.findall(r"^# (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE))
    for name in set(NAMED_FILE.findall(text)) - examples:
        assert any((folder / name).exists() for folder in (ROOT, ROOT / "tasks", page.parent)), name


@pytest.mark.parametrize("page", TABLES)
def test_tables_are_those_of_the_code(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert text == renewed(text, page), "write them anew: python -m tests.reference"


def test_the_settings_are_all_described():
    guide = (DOCS / "STUDIES.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"`SYNTHGAP_{name.upper()}`" in guide, name


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [item.name or item.callback.__name__ for item in app.registered_commands]
    for command in (*commands, *(group.name for group in app.registered_groups)):
        assert re.search(rf"`(?:synthgap )?{command}(?: |`)", readme), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_of_the_pages_can_be_used(page):
    for text in blocks(page, "yaml"):
        content = yaml.safe_load(text)
        if "repos" in content:  # of another tool
            continue
        if "providers" in content:
            parse(WatchConfig, content, "watch")
        elif "labels" in content:
            parse(TaskConfig, content, "task")
        else:
            parse(StudyConfig, {**BASE, **content}, "study")


def test_the_readmes_own_task_can_be_planned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHGAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    labels = ("money", "parcel")
    for name, count in (("train.csv", 40), ("test.csv", 20)):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            rows = [(f"ticket {i} in {name} about {label}", label) for i in range(count) for label in labels]
            csv.writer(file).writerows([("text", "label"), *rows])
    (example,) = blocks(ROOT / "README.md", "yaml")
    (tmp_path / "mystudy.yaml").write_text(example, encoding="utf-8")
    commands = re.findall(
        r"^synthgap (new-task .*?|plan .*?) *#", "".join(blocks(ROOT / "README.md", "sh")), re.MULTILINE
    )
    new_task, plan = (
        CliRunner().invoke(app, command.split()) for command in (*commands[:-1], f"{commands[-1]} --json")
    )
    assert (new_task.exit_code, plan.exit_code) == (0, 0), new_task.output + plan.output
    content = json.loads(plan.stdout)
    assert [item["mode"] for item in content["syntheses"]] == ["zero_shot", "few_shot"]
    assert content["trials"]["total"] == 4 * 3 + 1  # of real, all real and generated rows; the most frequent label
    assert not any(item["leaves"] for item in content["shown"])


def test_pre_commit_runs_what_make_check_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^check: setup\n((?:\t.+\n)+)", makefile, re.MULTILINE)
    commands = [line.strip().replace("$(BIN)", ".venv/bin").removesuffix(" .") for line in recipe.splitlines()]
    assert [hook["entry"] for hook in hooks] == commands


def test_the_log_lists_its_entries():
    text = (DOCS / "LOG.md").read_text(encoding="utf-8")
    for entry in re.findall(r"^## (.+)$", text, re.MULTILINE):
        assert f"| [{entry}](#" in text, f"add a row for it to the table at the top: {entry}"
