"""What happens to an artifact between writing and reading: damage counts as absent, never as an error for ever."""

import errno
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks import files
from tasks.errors import RunError
from tasks.settings import Settings
from tasks.store import SCHEMA, Store, check_places
from tests import read_only


@dataclass(frozen=True)
class Score:
    f1: float
    label: str


MANIFEST = {"f1": 0.5, "label": "é\u2028"}
ROWS = [Score(0.25, "a\u2028b"), Score(0.75, "c")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.put("trials", "k", MANIFEST, {"rows": ROWS, "raw": b"\0\xff"})
    return made


def path_of(store: Store, name: str) -> Path:
    return Path(store.root) / "trials" / "k" / name


def readings(store: Store) -> tuple[object, ...]:
    """All that can be read of the artifact; null for what counts as absent."""

    def rows() -> object:
        try:
            return store.rows("trials", "k", "rows", Score)
        except FileNotFoundError:
            return None

    return store.record("trials", "k", Score), rows(), store.verified("trials", "k")


def test_what_was_put_comes_back(store: Store) -> None:
    assert store.get("trials", "k") == MANIFEST
    assert readings(store) == (Score(0.5, "é\u2028"), tuple(ROWS), True)
    assert store.file("trials", "k", "raw") == b"\0\xff"


@pytest.mark.parametrize("damage", ["cut", "flip", "delete"])
def test_a_manifest_damaged_at_any_byte_is_absent_or_says_the_same(store: Store, damage: str) -> None:
    path = path_of(store, "manifest.json")
    content = path.read_bytes()
    for place in range(len(content)):
        byte = {"flip": bytes([content[place] ^ 1])}.get(damage, b"")
        path.write_bytes(content[:place] + byte + (content[place + 1 :] if damage != "cut" else b""))
        try:
            found = store.record("trials", "k", Score)
        except RunError as error:
            pytest.fail(f"byte {place}: {error}")
        assert found in (None, Score(0.5, "é\u2028")), place
    store.put("trials", "k", MANIFEST, {"rows": ROWS})
    assert readings(store)[2]


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"f1": 0.25, "label": "a"}\n', b"\xff"])
def test_a_file_that_is_not_as_it_was_written_is_absent_and_said_once(
    store: Store, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path_of(store, "rows").write_bytes(content)
    assert readings(store)[1:] == (None, False)
    assert readings(store)[1:] == (None, False)
    assert caplog.text.count("rows is not as it was written") == 1
    assert "is ignored and made again" in caplog.text
    store.put("trials", "k", MANIFEST, {"rows": ROWS})
    assert readings(store) == (Score(0.5, "é\u2028"), tuple(ROWS), True)


def test_a_file_that_is_gone_is_absent(store: Store) -> None:
    path_of(store, "rows").unlink()
    assert readings(store)[1:] == (None, False)


@pytest.mark.parametrize("manifest", ["", "{", "[]", "null", '{"f1": 0.5}', '{"f1": "x", "label": "a"}', "[" * 10**5])
def test_a_manifest_that_holds_no_record_is_absent_and_said(
    store: Store, manifest: str, caplog: pytest.LogCaptureFixture
) -> None:
    path_of(store, "manifest.json").write_text(manifest)
    assert store.record("trials", "k", Score) is None
    assert caplog.text.count("trials/k in the store") == 1


def test_damage_to_the_name_of_the_envelope_does_not_make_it_an_artifact_of_schema_0(store: Store) -> None:
    path = path_of(store, "manifest.json")
    content = path.read_bytes()
    start = content.index(b'"stored"') + 1
    for place in range(start, start + len("stored")):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert readings(store) == (None, None, False), place
        path.write_bytes(content[:place] + content[place + 1 :])
        assert readings(store) == (None, None, False), place


@pytest.mark.parametrize("schema", [True, 1.0, "1", None, -1])
def test_a_schema_that_is_no_whole_number_is_damage(store: Store, schema: object) -> None:
    path = path_of(store, "manifest.json")
    manifest = json.loads(path.read_text())
    manifest["stored"]["schema"] = schema
    seal = manifest["stored"].pop("sha256")
    manifest["stored"]["sha256"] = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    assert manifest["stored"]["sha256"] != seal
    path.write_text(json.dumps(manifest))
    assert readings(store) == (None, None, False)


def test_an_artifact_of_schema_0_is_read_as_it_stands(store: Store) -> None:
    path_of(store, "manifest.json").write_text('{"f1": 0.5, "label": "a"}')
    path_of(store, "rows").write_text('{"f1": 0.25, "label": "b"}')
    assert readings(store) == (Score(0.5, "a"), (Score(0.25, "b"),), False)


def test_an_artifact_of_a_newer_schema_is_refused_in_one_line(store: Store) -> None:
    path_of(store, "manifest.json").write_text(json.dumps({"else": 1, "stored": {"schema": SCHEMA + 2}}))
    said = rf"newer synthgap \(schema {SCHEMA + 2}, this version reads up to {SCHEMA}\): upgrade, or use another"
    for read in (store.get, store.verified, lambda *of: store.file(*of, "rows")):
        with pytest.raises(RunError, match=said):
            read("trials", "k")
    assert list(store.past("trials", Score)) == []  # estimates go without


class FullDisk:
    """Lets so many operations on the disk through; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        for owner, name in ((os, "fsync"), (Path, "open"), (Path, "replace"), (Path, "mkdir")):
            monkeypatch.setattr(owner, name, self._limited(getattr(owner, name)))

    def _limited(self, operation):  # type: ignore[no-untyped-def]
        def limited(*args, **kwargs):  # type: ignore[no-untyped-def]
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return operation(*args, **kwargs)

        return limited


@pytest.mark.parametrize("before", ["nothing", "an artifact"])
def test_a_disk_that_is_full_at_any_step_leaves_nothing_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    for steps in range(100):
        store = Store(str(tmp_path / f"{steps}"))
        if before == "an artifact":
            store.put("trials", "k", MANIFEST, {"rows": ROWS[:1]})
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, steps)
            try:
                store.put("trials", "k", MANIFEST, {"rows": ROWS})
            except RunError as error:
                assert "write trials/k to the store" in str(error) and "No space left" in str(error)
        left = {path.name for path in Path(store.root).rglob("*") if path.is_file()}
        assert left <= {"manifest.json", "rows"}
        record, rows, whole = readings(store)
        assert record in (None, Score(0.5, "é\u2028"))
        assert rows in (None, tuple(ROWS), tuple(ROWS[:1])) and whole == (rows is not None)
        if disk.left >= 0:
            assert rows == tuple(ROWS) and steps >= 8
            return
    pytest.fail("it was never written")


def test_a_store_that_cannot_be_written_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for url in (read_only.URL, str(tmp_path / "file" / "store")):
        with pytest.raises(RunError, match="cannot write to the store"):
            check_places(Settings(home=tmp_path / "home", store=url))


def test_journals_that_cannot_be_written_are_found_out(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "journals").write_text("in the way")
    with pytest.raises(RunError, match="cannot write journals in"):
        check_places(Settings(home=tmp_path / "home"))


def test_runs_that_start_together_in_one_home_do_not_refuse_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, remove = Settings(home=tmp_path / "home"), Path.unlink

    def second(path: Path, missing_ok: bool = False) -> None:
        remove(path, missing_ok=True)  # the other run was faster
        remove(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", second)
    check_places(settings)
    assert not list((settings.home / "journals").iterdir())


def test_places_that_can_be_written_are_left_as_they_were(tmp_path: Path) -> None:
    check_places(Settings(home=tmp_path / "home"))
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_files_are_replaced_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    files.replace_files({one: b"1", other: b"2"})
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        FullDisk(patch, 3)
        files.replace_files({one: b"new", other: b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"one": b"1", "other": b"2"}


def test_a_file_is_on_disk_before_it_has_its_name_and_its_name_before_more_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    sync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def named(draft: Path, path: Path) -> Path:
        steps.append("name")
        return replace(draft, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    files.replace_files({tmp_path / "one": b"1", tmp_path / "other": b"2"})
    assert steps == ["file", "file", "name", "name", "folder"]
