"""The benchmarks run: what they measure is another matter, and for a quiet machine."""

import json
import re
import subprocess
import sys

import pytest

from tests.provider import ROOT, provider

CHECK = ("benchmarks.same_results", "check")


def run(*arguments: str, code: int = 0) -> str:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_filters_sift_made_up_rows():
    said = run("benchmarks.filters", "--rows", "400", "--pool", "50")
    assert said.startswith("400 rows of sms_spam, pool of 50") and "peak memory" in said


def test_a_client_tells_what_its_calls_took():
    with provider() as endpoint:
        options = ["--url", endpoint.url, "--calls", "8", "--at-once", "4", "--draws", "0", "1"]
        records = json.loads(run("benchmarks.client", "product", *options))
        assert endpoint.stats()["answered"] == 16
    assert [record["calls"] for record in records] == [8, 8]
    assert all(record["cpu"] > 0 and record["texts"] == 8 for record in records)


@pytest.mark.slow
def test_the_same_results_are_found_and_others_are_seen(tmp_path):
    (tmp_path / "data").mkdir()  # the study's real rows come in a package
    folder = tmp_path / "made"
    made = run("benchmarks.same_results", "make", str(folder), "--only", "short", "--data", str(tmp_path / "data"))
    assert "calls to an LLM: 0\nadded to store and journals: nothing" in made
    assert re.search(r"short: \d{3,} facts, 0 differ; \d+ cells, 0 not stored", run(*CHECK, str(folder)))
    manifest = next((folder / "home" / "store" / "trials").glob("*/manifest.json"))
    manifest.write_text(manifest.read_text().replace('"macro_f1": 0.', '"macro_f1": 0.9'))
    assert re.search(r"short: .* 1 not stored", run(*CHECK, str(folder), code=1))
    result = folder / "results" / "short.json"
    result.write_text(re.sub(r'("macro_f1": \{\s*"mean": 0\.)', r"\g<1>9", result.read_text(), count=1))
    assert re.search(r"comparisons / sms_spam .* / macro_f1 / mean: 0\.9\d+ -> 0\.", run(*CHECK, str(folder), code=1))
