"""The store on a real S3 server: what object stores do differently from folders."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.errors import RunError
from tasks.store import Store
from tests import s3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with s3.server() as found:
        yield found


@pytest.fixture
def url(environment: dict[str, str], request: pytest.FixtureRequest) -> str:
    return f"s3://{s3.BUCKET}/{request.node.name}"


def test_an_artifact_comes_back_as_it_was_put(url: str) -> None:
    store = Store(url)
    assert store.keys("syntheses") == []
    store.put("syntheses", "k1", {"n": 3, "name": "é"}, {"rows.jsonl": "ü".encode()})
    assert Store(url).get("syntheses", "k1") == {"n": 3, "name": "é"}
    assert Store(url).file("syntheses", "k1", "rows.jsonl").decode() == "ü"
    assert store.keys("syntheses") == ["k1"]


def test_what_was_never_put_is_absent(url: str) -> None:
    assert Store(url).get("trials", "none") is None
    with pytest.raises(FileNotFoundError):
        Store(url).file("trials", "none", "x")


def test_what_another_process_writes_is_seen_at_once(url: str) -> None:
    store = Store(url)
    store.put("trials", "ours", {})
    assert (store.keys("trials"), store.get("trials", "theirs")) == (["ours"], None)  # now a cache would know
    write = f"from tasks.store import Store; Store({url!r}).put('trials', 'theirs', {{'n': 1}}, {{'x': b'1'}})"
    subprocess.run([sys.executable, "-c", write], check=True, env=dict(os.environ), timeout=300)
    assert store.keys("trials") == ["ours", "theirs"]
    assert store.get("trials", "theirs") == {"n": 1}
    assert store.file("trials", "theirs", "x") == b"1"


def test_files_without_a_manifest_are_no_artifact(url: str) -> None:
    store = Store(url)
    store.fs.pipe_file(f"{store.root}/trials/half/predictions.jsonl", b"{}")
    assert store.get("trials", "half") is None
    assert store.keys("trials") == []


def test_what_breaks_off_while_it_is_written_is_no_artifact(url: str) -> None:
    store, unwritable = Store(url), object()
    with pytest.raises(RunError, match="write trials/k"):
        store.put("trials", "k", {"n": 1}, {"written": b"1", "not written": unwritable})
    assert store.fs.cat_file(f"{store.root}/trials/k/written") == b"1"
    assert store.get("trials", "k") is None
    assert store.keys("trials") == []


def test_many_threads_share_a_store(url: str) -> None:
    def work(n: int) -> object:
        store = Store(url)
        store.put("trials", f"k{n:02}", {"n": n}, {"rows": b"x" * n})
        store.put("trials", "same", {"n": "whole"})
        return store.get("trials", f"k{n:02}"), store.get("trials", "same"), store.file("trials", f"k{n:02}", "rows")

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(48)))
    assert found == [({"n": n}, {"n": "whole"}, b"x" * n) for n in range(48)]
    assert len(Store(url).keys("trials")) == 49


def test_a_bucket_that_is_not_there_is_one_clear_message_and_is_not_made(environment: dict[str, str]) -> None:
    store = Store("s3://mispelt/prefix")
    assert store.get("trials", "k") is None
    with pytest.raises(RunError, match=r"write trials/k to the store 's3://mispelt/prefix': .*bucket"):
        store.put("trials", "k", {})
    assert not store.fs.exists("mispelt")


@pytest.mark.parametrize("way", ["FSSPEC_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize("address", ["alive", "dead"])
def test_the_endpoint_is_set_by_the_environment(way: str, address: str, environment: dict[str, str]) -> None:
    place = environment["AWS_ENDPOINT_URL"] if address == "alive" else "http://127.0.0.1:9"
    variables = {name: value for name, value in os.environ.items() if name not in {way, "AWS_ENDPOINT_URL"}}
    code = (
        "from tasks.store import Store; from tasks.errors import RunError\n"
        f"try: print(Store('s3://{s3.BUCKET}/x').get('trials', 'none'))\n"
        "except RunError as error: print(error)"
    )
    limits = {"AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**variables, **limits, way: place},
        timeout=300,
        check=False,
    )
    if address == "alive":
        assert done.stdout.strip() == "None", done.stderr
    else:
        assert done.stdout.startswith(f"cannot read trials/none from the store 's3://{s3.BUCKET}/x': "), done.stderr
        assert "127.0.0.1:9" in done.stdout
        assert s3.SECRET not in done.stdout + done.stderr


def test_damage_counts_as_absent_and_is_said(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(url)
    store.put("trials", "k", {"n": 1}, {"rows": b"12"})
    store.fs.pipe_file(f"{store.root}/trials/k/rows", b"1")
    with pytest.raises(FileNotFoundError):
        store.file("trials", "k", "rows")
    store.fs.pipe_file(f"{store.root}/trials/k/manifest.json", json.dumps({"n": 1}).encode()[:-1])
    assert store.get("trials", "k") is None
    assert caplog.text.count("trials/k in the store") == 2


def test_a_store_is_found_writable_and_nothing_is_left(url: str) -> None:
    store = Store(url)
    store.check_writable()
    assert store.fs.find(store.root) == []
    with pytest.raises(RunError, match="cannot write to the store"):
        Store("s3://mispelt/prefix").check_writable()


def test_finished_artifacts_are_told_from_others_at_once(url: str) -> None:
    store = Store(url)
    for key in ("a", "b", "damaged"):
        store.put("trials", key, {"n": key})
    store.fs.pipe_file(f"{store.root}/trials/damaged/manifest.json", b"{}}")
    assert store.finished("trials", ["a", "none", "damaged", "b"]) == {"a", "b"}
