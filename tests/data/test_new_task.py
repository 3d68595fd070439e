from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tasks.config import FileSource
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.data.new_task import new_task
from tasks.errors import UserError
from tasks.settings import Settings

ROWS = [(f"ticket {i} is about {label}", label) for label in ("billing: late", "no", "0") for i in range(10)]
TEST = [(f"test {text}", label) for text, label in ROWS]
Writer = Callable[..., Path]


def test_a_task_from_two_files_loads_as_it_is(tmp_path: Path, settings: Settings, write_csv: Writer) -> None:
    train = write_csv("rows/train.csv", ROWS, ("Message", "Category"))
    test = write_csv("rows/test.csv", TEST, ("Message", "Category"))
    path = new_task("support_tickets", train, test, None, None, tmp_path)
    assert path == tmp_path / "support_tickets.yaml"
    task = find_task("support_tickets.yaml", tmp_path)
    assert set(task.labels) == {"billing: late", "no", "0"} and all(k == v for k, v in task.labels.items())
    assert task.text == "a message" and "support tickets" in task.context and task.style
    data = load(task, settings, 0.1)
    assert (len(data.train), len(data.test)) == (30, 30)
    content = path.read_text()
    assert 'train: "rows/train.csv"' in content and content.count("# EDIT") == 4
    assert yaml.safe_load(content)["sources"][0]["text"] == "Message"


def test_one_file_named_columns_and_agreement(tmp_path: Path, settings: Settings, write_csv: Writer) -> None:
    rows = [(text, label, 0.5) for text, label in ROWS]
    train = write_csv("x.csv", rows, ("what", "kind", "agreement"))
    new_task("mine", train, None, "what", "kind", tmp_path / "deep" / "er")
    task = find_task("mine.yaml", tmp_path / "deep" / "er")
    source = task.sources[0]
    assert isinstance(source, FileSource) and source.train == str(train) and source.test is None
    assert load(task, settings, 0.1).test[0].agreement == 0.5


@pytest.mark.parametrize(
    ("rows", "header", "text", "label", "message"),
    [
        (ROWS, ("what", "label"), None, None, r"column holds the text; name it with --text. Columns: what, label"),
        (ROWS, ("text", "kind"), None, None, r"column holds the label; name it with --label. Columns: text, kind"),
        (ROWS, ("text", "label"), "body", None, r"x.csv: no column 'body' for the text. Columns found: text, label"),
        (ROWS[:10], ("text", "label"), None, None, r"x.csv has only one label, 'billing: late'"),
        ([(i, f"x{i}") for i in range(300)], ("text", "label"), None, None, r"300 different values.*--label"),
        ([("t", "a"), ("u", "")], ("text", "label"), None, None, r"1 rows have no label in column 'label'"),
        ([("t", "a"), ("u", "b")], ("text", "label"), None, None, r"label 'a' has one row"),
    ],
)
def test_rows_that_make_no_task_write_nothing(
    rows: list[tuple[object, ...]], header: tuple[str, str], text: str | None, label: str | None, message: str,
    tmp_path: Path, write_csv: Writer,
) -> None:  # fmt: skip
    with pytest.raises(UserError, match=message):
        new_task("mine", write_csv("x.csv", rows, header), None, text, label, tmp_path)
    assert not (tmp_path / "mine.yaml").exists()


def test_names_that_cannot_be(tmp_path: Path, write_csv: Writer) -> None:
    train = write_csv("x.csv", ROWS)
    with pytest.raises(UserError, match=r"'sms_spam' is a task of the catalog"):
        new_task("sms_spam", train, None, None, None, tmp_path)
    with pytest.raises(UserError, match=r"field 'name'.*got '../up'"):
        new_task("../up", train, None, None, None, tmp_path / "sub")
    (tmp_path / "mine.yaml").write_text("precious")
    with pytest.raises(UserError, match=r"mine.yaml' exists already"):
        new_task("mine", train, None, None, None, tmp_path)
    assert (tmp_path / "mine.yaml").read_text() == "precious"
    with pytest.raises(UserError, match=r"no such file: .*gone.csv"):
        new_task("other", tmp_path / "gone.csv", None, None, None, tmp_path)
