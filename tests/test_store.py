import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import RunError, without_password
from tasks.files import replacing
from tasks.records import Example, canonical, content_key, count_labels, key_of_parts, readable
from tasks.store import Store

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path) if request.param == "folder" else f"memory://{tmp_path.name}")


def test_an_artifact_comes_back_as_it_was_put(store: Store) -> None:
    store.put("syntheses", "k1", {"n": 3, "name": "é"}, {"rows.jsonl": "ü".encode()})
    assert store.get("syntheses", "k1") == {"n": 3, "name": "é"}
    assert store.file("syntheses", "k1", "rows.jsonl").decode() == "ü"
    assert store.keys("syntheses") == ["k1"]


def test_what_was_never_put_is_absent(store: Store) -> None:
    assert store.get("trials", "none") is None
    assert store.keys("trials") == []
    with pytest.raises(FileNotFoundError):
        store.file("trials", "none", "x")


def test_files_without_a_manifest_are_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "trials" / "half").mkdir(parents=True)
    (tmp_path / "trials" / "half" / "predictions.jsonl").write_text("{}")
    store = Store(str(tmp_path))
    assert store.get("trials", "half") is None
    assert store.keys("trials") == []


def test_a_store_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "trials").write_text("a file in the way")
    with pytest.raises(RunError, match="trials/k"):
        Store(str(tmp_path)).put("trials", "k", {})


def test_a_failed_write_leaves_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "trials" / "k" / "manifest.json"
    (target / "in the way").mkdir(parents=True)
    with pytest.raises(RunError):
        Store(str(tmp_path)).put("trials", "k", {})
    assert [path.name for path in target.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("password", ["secret", "se:cr@t", "se/cret"])
def test_a_password_in_a_url_is_not_shown(password: str) -> None:
    assert without_password(f"postgresql://me:{password}@host:5/name") == "postgresql://host:5/name"


@pytest.mark.parametrize("uri", ["s3://bucket/a@b", "sqlite:////home/me@here/m.db", "./folder", "http://host:5000/x"])
def test_a_url_without_one_is_shown_as_it_is(uri: str) -> None:
    assert without_password(uri) == uri


def test_an_unknown_kind_of_store_is_one_clear_message() -> None:
    with pytest.raises(RunError, match="nosuch"):
        Store("nosuch://x")


@given(json_values)
def test_the_key_of_a_value_survives_json_and_key_order(value: object) -> None:
    again = json.loads(json.dumps(value))
    if isinstance(again, dict):
        again = dict(reversed(list(again.items())))
    assert content_key(again) == content_key(value)


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_two_values_share_a_key_only_when_they_are_equal(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (content_key(one) == content_key(other)) == (one == other)


def test_a_label_without_rows_counts_zero() -> None:
    assert count_labels([Example("a", "x"), Example("b", "x")], ["x", "y"]) == {"x": 2, "y": 0}


def test_a_readable_name_leaves_out_what_is_not_there() -> None:
    assert readable("sms_spam", "real", None, "seed 0") == "sms_spam · real · seed 0"
    assert readable("sms_spam", "majority", None, "majority", "seed 0") == "sms_spam · majority · seed 0"


@dataclass(frozen=True)
class Noted:
    """A record that is stored by itself."""

    name: str
    counts: dict[str, int]


def test_a_record_is_stored_and_read_as_such(tmp_path: Path) -> None:
    store, noted = Store(str(tmp_path)), Noted("a", {"glad": 2, "angry": 1})
    store.put("notes", "key", noted)
    assert store.record("notes", "key", Noted) == noted
    assert list(store.record("notes", "key", Noted).counts) == ["glad", "angry"]
    assert store.verified("notes", "key")


def test_a_large_file_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    for content in ("first", "second"):
        with replacing(path) as draft:
            draft.write_text(content)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == content
    with pytest.raises(ValueError, match="torn"), replacing(path) as draft:
        draft.write_text("half")
        raise ValueError("torn")
    assert path.read_text() == "second" and list(tmp_path.iterdir()) == [path]


@given(st.dictionaries(st.text(), json_values))
def test_a_key_of_parts_is_that_of_the_whole(value: dict[str, object]) -> None:
    assert key_of_parts({name: canonical(item) for name, item in value.items()}) == content_key(value)


def test_finished_artifacts_are_told_from_others_at_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for key in ("a", "b", "damaged"):
        store.put("trials", key, {"n": key})
    store.fs.pipe_file(f"{store.root}/trials/damaged/manifest.json", b"{}}")
    assert store.finished("trials", ["a", "none", "damaged", "b"]) == {"a", "b"}
    assert "trials/damaged" in caplog.text
    assert store.finished("trials", []) == set()
    newer = store.fs.cat_file(f"{store.root}/trials/a/manifest.json").replace(b'"schema": 1', b'"schema": 99')
    store.fs.pipe_file(f"{store.root}/trials/a/manifest.json", newer)
    assert store.finished("trials", ["a", "b"]) == {"b"}  # changed by hand, so that its hash is wrong
