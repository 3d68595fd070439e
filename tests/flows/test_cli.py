"""The command line as a user meets it: a process of its own, its exit code, and one clear line for a mistake."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

NO_NETWORK = """
import sys
def deny(event, arguments):
    if event == "socket.connect":
        raise RuntimeError(f"network used: {arguments}")
sys.addaudithook(deny)
from flows.cli import main
sys.argv[0] = "synthgap"
main()
"""


@pytest.fixture
def synthgap(tmp_path: Path):
    """Runs ``synthgap`` with an empty home; any connection to anywhere is an error."""

    def call(*arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        changed = {**os.environ, "SYNTHGAP_HOME": str(tmp_path / "home"), **environment}
        env = {name: value for name, value in changed.items() if value is not None}
        command = [sys.executable, "-c", NO_NETWORK, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120, check=False)

    return call


def test_windows_is_refused_in_one_line():
    script = "import sys; from flows.cli import main; sys.platform = 'win32'; sys.argv = ['synthgap', 'tasks']; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "synthgap does not run on Windows itself; use Linux, macOS or the Windows Subsystem for Linux"
    ]


def study(folder: Path, **change: object) -> str:
    """Path of a study file: the smallest one, changed."""
    config = {"name": "s", "tasks": ["sms_spam"], "modes": ["real", "few_shot"], **change}
    path = folder / "study.yaml"
    path.write_text(json.dumps(config))
    return str(path)


def rows_file(path: Path, rows: list[tuple[str, str]], header: str = "text,label") -> Path:
    path.write_text("\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n")
    return path


def own_task(folder: Path, train: list[tuple[str, str]], test: list[tuple[str, str]]) -> str:
    """A task YAML over two CSV files."""
    rows_file(folder / "train.csv", train)
    rows_file(folder / "test.csv", test)
    fields = {
        "name": "mine",
        "title": "Mine",
        "text": "a note",
        "context": "You write notes.",
        "labels": {"a": "about apples", "b": "about bees"},
        "sources": [{"kind": "files", "train": "train.csv", "test": "test.csv"}],
    }
    (folder / "mine.yaml").write_text(json.dumps(fields))
    return "./mine.yaml"


def notes(label: str, n: int, word: str = "note") -> list[tuple[str, str]]:
    return [(f"{word} {label} number {i}", label) for i in range(n)]


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("synthgap: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_help_names_every_command_and_answers_at_once(synthgap) -> None:
    started = time.monotonic()
    done = synthgap("--help")
    assert time.monotonic() - started < 5  # 0.5 s on an idle machine; the suite may share its cores
    for command in ("run", "plan", "report", "tasks", "new-task", "doctor"):
        assert f" {command} " in done.stdout


def test_plan_of_the_shipped_quickstart_needs_no_network(synthgap) -> None:
    done = synthgap("plan", "quickstart", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["trials"] == {"total": 18, "stored": 0}
    assert len(plan["syntheses"]) == 4
    assert plan["totals"]["cost_usd"] == 0
    assert 400 / 4 < plan["totals"]["calls"] < 400  # four texts a call


def test_the_cost_of_an_llm_without_a_known_price_is_null(synthgap, tmp_path: Path) -> None:
    done = synthgap("plan", study(tmp_path, generators=["openai/nobody-knows-me"]), "--json")
    assert json.loads(done.stdout)["totals"]["cost_usd"] is None


def test_a_known_price_gives_dollars(synthgap, tmp_path: Path) -> None:
    done = synthgap("plan", study(tmp_path, generators=["openai/gpt-4o-mini"]), "--json")
    assert 0 < json.loads(done.stdout)["totals"]["cost_usd"] < 1


def test_tasks_lists_the_catalog(synthgap) -> None:
    assert "headline_sarcasm" in synthgap("tasks").stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": ["sms_spma"]}, ["sms_spma", "sms_spam", "movie_reviews"]),
        ({"modes": ["few_shots"]}, ["few_shots", "few_shot", "zero_shot", "real"]),
        ({"classifiers": ["embedded/minilm"]}, ["embedded/minilm", "embedded/minilm-l6"]),
        ({"generators": ["embedded/gpt"]}, ["embedded/gpt", "embedded/smollm2-135m-instruct"]),
        ({"tests": 5}, ["tests", "test_rows"]),
        ({"modes": ["mix/0"]}, ["mix/0", "1 to 99"]),
        ({"modes": ["real", "imported"]}, ["imported", "imports"]),
        (
            {"modes": ["imported"], "imports": [{"name": "theirs", "task": "sms_spam", "file": "gone.csv"}]},
            ["theirs", "no such file", "gone.csv"],
        ),
        ({"classifiers": ["./no-such-folder"]}, ["no-such-folder"]),
    ],
)
def test_a_mistake_in_a_study_is_one_line_and_exit_code_2(synthgap, tmp_path, change, words) -> None:
    assert_one_line(synthgap("plan", study(tmp_path, **change)), 2, *words)


def test_a_run_finds_the_same_mistakes_before_it_starts_anything(synthgap, tmp_path: Path) -> None:
    assert_one_line(synthgap("run", study(tmp_path, modes=["few_shots"])), 2, "few_shots", "few_shot")


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (notes("a", 30) + notes("b", 30), notes("c", 5, "test"), ["'c'"]),
        ([], notes("a", 5), ["train.csv"]),
        (notes("a", 30), notes("a", 5, "test"), ["only one label", "'a'"]),
        ([("same", "a"), ("same", "a"), ("other", "b"), ("other", "b")], notes("a", 3) + notes("b", 3), ["mine"]),
    ],
    ids=["label only in test", "empty file", "one label", "duplicates only"],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_2(synthgap, tmp_path, train, test, words) -> None:
    done = synthgap("plan", study(tmp_path, tasks=[own_task(tmp_path, train, test)], rows_per_label=10))
    assert_one_line(done, 2, *words)


def test_a_second_run_of_the_same_study_at_the_same_time_is_refused(synthgap, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "home" / "locks").mkdir(parents=True)
    with FileLock(tmp_path / "home" / "locks" / "s.lock"):
        assert_one_line(synthgap("run", study(tmp_path)), 1, "'s'", "running already")


def test_a_home_that_cannot_be_written_is_one_line(synthgap, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = synthgap("run", study(tmp_path), SYNTHGAP_HOME=str(tmp_path / "file" / "home"))
    assert_one_line(done, 1, "SYNTHGAP_HOME")


def test_a_study_that_never_ran_has_no_report(synthgap, tmp_path: Path) -> None:
    assert_one_line(synthgap("report", study(tmp_path)), 2, "'s'", "run it first")


def test_new_task_writes_a_task_that_plans(synthgap, tmp_path: Path) -> None:
    rows = notes("a", 40) + notes("b", 40)
    train, test = (
        rows_file(tmp_path / "train.csv", rows),
        rows_file(tmp_path / "test.csv", notes("a", 9, "t") + notes("b", 9, "t")),
    )
    assert synthgap("new-task", "mine", "--train", str(train), "--test", str(test)).returncode == 0
    done = synthgap("plan", study(tmp_path, tasks=["./mine.yaml"], rows_per_label=10), "--json")
    assert json.loads(done.stdout)["trials"]["total"] == 10


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        ("openai/gpt-4o-mini", "'openai/gpt-4o-mini' needs OPENAI_API_KEY in the environment"),
        ("no-such-provider/model", "litellm knows no such provider"),
    ],
)
def test_an_llm_that_cannot_be_asked_shows_before_anything_is_started(synthgap, tmp_path, generator, said):
    done = synthgap("run", study(tmp_path, generators=[generator]), OPENAI_API_KEY=None)
    assert done.returncode == 1 and said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home" / "mlflow.db").exists()


def test_nothing_to_export_before_the_first_run(synthgap):
    done = synthgap("export", "quickstart")
    assert done.returncode == 2 and "run it first" in done.stderr


NO_CHILDREN = NO_NETWORK.replace(
    'event == "socket.connect"', 'event in ("socket.connect", "subprocess.Popen", "os.system")'
)


@pytest.mark.parametrize(
    "source",
    [
        {
            "kind": "wheel",
            "package": "some-pack",
            "version": "1.0",
            "sha256": "0" * 64,
            "members": ["x"],
            "reader": "sms_spam",
        },
        {"kind": "hub", "path": "nobody/no-such-data"},
    ],
    ids=["wheel", "hub"],
)
def test_plan_downloads_nothing_and_says_how_to(tmp_path: Path, source: dict[str, object]) -> None:
    path = own_task(tmp_path, notes("a", 3), notes("b", 3))
    task = json.loads((tmp_path / path).read_text())
    (tmp_path / path).write_text(json.dumps({**task, "sources": [source]}))
    env = {
        **os.environ,
        "SYNTHGAP_HOME": str(tmp_path / "home"),
        "SYNTHGAP_DATA_DIR": "",
        "HF_HOME": str(tmp_path / "hf"),
    }
    command = [sys.executable, "-c", NO_CHILDREN, "plan", study(tmp_path, tasks=[path])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120, check=False)
    assert done.returncode == 1 and "synthgap plan --fetch" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_plan_says_who_would_see_real_texts(synthgap, tmp_path: Path) -> None:
    writers = ["openai/gpt-4o-mini", {"model": "openai/x", "api_base": "http://127.0.0.1:1/v1"}]
    said = synthgap("plan", study(tmp_path, generators=writers)).stdout
    sent = r"Real texts that would be sent to openai \(api\.openai\.com\): sms_spam: up to \d+ \(few-shot pool\)"
    assert re.search(sent, said)
    assert "127.0.0.1" not in said and "No real text" not in said
    assert "No real text leaves this machine." in synthgap("plan", study(tmp_path, generators=writers[1:])).stdout
    only_described = synthgap("plan", study(tmp_path, modes=["real", "zero_shot"], generators=writers)).stdout
    assert "No real text would be sent to openai (api.openai.com), only the description of sms_spam" in only_described


def test_a_named_variable_that_is_not_set_shows_before_anything_is_started(synthgap, tmp_path) -> None:
    annotator = {"model": "openai/x", "api_base": "http://127.0.0.1:1/v1", "api_key_env": "MY_SERVER_KEY"}
    path = study(tmp_path, modes=["real"], subjectivity={"annotators": [annotator]})
    done = synthgap("run", path, MY_SERVER_KEY=None)
    assert done.returncode == 2 and "MY_SERVER_KEY (api_key_env) is not released" in done.stderr
    done = synthgap("run", path, MY_SERVER_KEY=None, SYNTHGAP_KEYS="MY_SERVER_KEY")
    assert done.returncode == 1 and "'openai/x' needs MY_SERVER_KEY in the environment" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home" / "mlflow.db").exists()
