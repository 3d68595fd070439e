"""The benchmarks run: what they measure is another matter, and for a quiet machine."""

import argparse
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import benchmarks
from benchmarks import screening
from benchmarks.generation import Figure
from tests.provider import ROOT, provider


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_filters_sift_made_up_rows():
    said = run("benchmarks.filters", "--rows", "400", "--pool", "50")
    assert said.startswith("400 rows of sms_spam, pool of 50") and "peak memory" in said


@pytest.mark.slow
def test_a_killed_generation_and_an_import_end_with_their_rows():
    said = run("benchmarks.bulk", "--rows", "400")
    assert "lost 0, asked again 0" in said and said.count("rows the same") == 2 and said.startswith("import")


def test_a_client_tells_what_its_calls_took():
    with provider() as endpoint:
        options = ["--url", endpoint.url, "--calls", "8", "--at-once", "4", "--draws", "0"]
        [record] = json.loads(run("benchmarks.client", "product", *options))
        assert endpoint.stats()["answered"] == 8
    assert record["calls"] == record["texts"] == 8 and record["cpu"] > 0


def test_a_part_that_fails_or_misses_its_limit_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    def failing(options: argparse.Namespace) -> Iterator[Figure]:
        yield Figure("before", "1 s")
        raise RuntimeError("no room")

    def part(ok: bool | None) -> screening.Part:
        return lambda options: iter([Figure(f"limit {ok}", "2 s", "<= 1 s", ok)])

    options = argparse.Namespace()
    assert not screening.report({"first": failing, "second": part(ok=True)}, options)
    said = capsys.readouterr().out
    assert "before" in said and "first failed" in said and "no room" in said and "limit True" in said
    assert screening.report({"second": part(ok=True), "third": part(ok=None)}, options)
    assert not screening.report({"second": part(ok=False), "third": part(ok=True)}, options)
    assert "limit True" in capsys.readouterr().out


@pytest.mark.parametrize(("minutes", "said"), [(1.0, "reached"), (0.6, "MISSED"), (1.6, "MISSED"), (None, "unknown")])
def test_a_plan_is_held_against_the_time_that_a_study_took(minutes: float | None, said: str) -> None:
    assert said in str(screening.planned({"estimate": {"minutes": minutes}}, 60.0))


@pytest.mark.slow
def test_screening_is_measured_on_a_tiny_shape() -> None:
    shape = ["--texts", "20", "--rounds", "1", "--sets", "2", "--rows", "40", "--cells", "3"]
    command = [sys.executable, "-m", "benchmarks.screening", *shape]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # its code depends on the machine
    assert "embedding 20 messages" in done.stdout and "smallest cosine" in done.stdout, done.stderr
    assert "2 imported sets: 9 cells from nothing" in done.stdout
    assert "3 probe cells, texts embedded" in done.stdout and " failed" not in done.stdout


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
def test_a_picture_is_as_large_as_its_window_and_a_page_that_does_not_fit_is_named(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p style='height: 900px'>short</p>")
    for options, size in (([], (1200, 1500)), (["--width", "390", "--height", "300", "--whole", "--dark"], None)):
        run("benchmarks.picture", str(page), str(tmp_path / "p.png"), *options)
        taken = Image.open(tmp_path / "p.png").size
        assert taken == size or (size is None and taken[0] == 390 and taken[1] > 900)
    page.write_text("<p style='width: 2000px'>wide</p>")
    command = [sys.executable, "-m", "benchmarks.picture", str(page), str(tmp_path / "p.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "the page is wider than 1200 pixels" in done.stderr


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(benchmarks.__path__[0]).glob("*.py")))
def test_a_benchmark_can_be_imported(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")
