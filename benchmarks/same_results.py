"""Does another version of the product give the same results from an earlier version's store? One line for each study.

    python -m benchmarks.same_results make FOLDER    # by the earlier version, in a worktree of its commit
    python -m benchmarks.same_results check FOLDER   # by the later one

``make`` runs the studies of ``same_studies`` in a new folder, which then has their YAML files, a home folder, and for
each study the results of a second run, which finds everything stored. ``check`` runs them again on a copy of that home
folder. For each study it prints whether all facts are the same (``tests/facts.py``) and all cells are stored. It also
checks that nothing was added to store or journals and that no LLM was called: an endpoint at the LLM's address refuses
and counts every call. Exits with 1 if a check fails.

On two busy cores ``make`` took eight and a half minutes, ``check`` two. The product is that of the working directory.
Real rows come from ``--data``, a data directory (``SYNTHGAP_DATA_DIR``).
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.same_studies import Llm, write_studies
from tests.facts import differences, facts
from tests.provider import ROOT

PORT = 18917
"""Port of the LLM: below the ports that systems assign automatically, so that it is free again for ``check``."""
DATA = ROOT.parent / "shared" / "data"
CLOSE = 1e-9
"""Allowed difference of computed numbers on the same machine: threads add in another order."""
SHOWN = 20
"""Most differences of a study that are shown."""
OF_SERVERS = ("mlflow*", "prefect*", "*.lock")
"""Files that are not copied with a home: MLflow's database contains the path of its files."""
FOREIGN = ("PREFECT_", "MLFLOW_", "SYNTHGAP_")


def run(studies: Sequence[Path], home: Path, data: Path, results: Path) -> None:
    """Run studies as a user does, one after the other, in a separate process; write their results to a folder.

    All studies share one process, because imports take most of a small study's time.
    """
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(studies, home, data, results))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def _run(studies: Sequence[Path], home: Path, data: Path, results: Path) -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    os.environ |= {"SYNTHGAP_HOME": str(home), "SYNTHGAP_DATA_DIR": str(data), "OPENAI_API_KEY": "sk-of-no-use"}
    from typer.testing import CliRunner

    from flows.cli import app

    for study in studies:
        started = time.monotonic()
        done = CliRunner().invoke(app, ["run", str(study), "--json", "--again"])
        try:
            found = json.loads(done.stdout)
        except ValueError:
            sys.exit(f"study {study.stem} ended with {done.exit_code}: {done.stderr[-2000:]} {done.exception!r}")
        save(results / f"{study.stem}.json", found)
        totals, took = found["totals"], time.monotonic() - started
        told = f"{totals['cells']} cells, {totals['cells_failed']} failed, {totals['calls']} calls"
        print(f"{study.stem}: {told}, {took:.0f} s", file=sys.stderr, flush=True)


def run_again(folder: Path, made: Mapping[str, Any], results: Path) -> bool:
    """Run all studies on a copy of the home and write their results to ``results``; returns whether no LLM was called
    and nothing was added.
    """
    with tempfile.TemporaryDirectory() as place:
        home = Path(shutil.copytree(folder / "home", Path(place) / "home", ignore=shutil.ignore_patterns(*OF_SERVERS)))
        before = stored(home)
        try:
            llm = Llm(made["port"], down=True)
        except OSError as error:
            sys.exit(f"port {made['port']}, where the LLM of these studies was, cannot be listened on: {error}")
        run([folder / f"{name}.yaml" for name in made["studies"]], home, Path(made["data"]), results)
        llm.close()
        added = sorted(stored(home).items() - before.items())
    print(f"calls to an LLM: {llm.heard}")
    print(f"added to store and journals: {', '.join(path for path, _ in added) or 'nothing'}")
    return not (llm.heard or added)


def stored(home: Path) -> dict[str, int]:
    """Artifacts of the store, and journals with their sizes."""
    artifacts = {f"{path.parent.name}/{path.name}": 0 for path in (home / "store").glob("*/*") if path.is_dir()}
    return artifacts | {f"journals/{path.name}": path.stat().st_size for path in (home / "journals").glob("*.jsonl")}


def compare(before: Path, after: Path, names: list[str]) -> bool:
    """Print the differences between two runs of each study; returns whether there are none and all cells are stored."""
    same = True
    for name in names:
        ours, theirs = (facts(json.loads((folder / f"{name}.json").read_text("utf-8"))) for folder in (before, after))
        found = differences(ours, theirs, CLOSE)
        done = [cell for *cell, field in theirs if cell[0] == "cells" and field == "macro_f1"]
        trained = sum(theirs.get((*cell, "cached")) is not True for cell in done)
        print(f"{name}: {len(ours)} facts, {len(found)} differ; {len(done)} cells, {trained} not stored")
        for line in found[:SHOWN]:
            print(f"  {line}")
        same = same and not found and not trained
    return same


def make(folder: Path, data: Path, only: list[str] | None) -> bool:
    """Run the studies, then run them once more for the results that ``check`` must find."""
    if not data.is_dir():
        sys.exit(f"no real rows at {str(data)!r}: name a data directory with --data")
    if folder.exists():
        sys.exit(f"{str(folder)!r} is there already; name a new folder")
    llm = Llm(PORT)
    written = {path.stem: path for path in write_studies(folder, llm.url, data)}
    if unknown := set(only or ()) - set(written):
        sys.exit(f"no study is called {min(unknown)!r}; studies: {', '.join(written)}")
    studies = [written[name] for name in only or written]
    made = {"port": llm.server.server_port, "data": str(data.absolute()), "studies": [path.stem for path in studies]}
    run(studies, folder / "home", data, folder / "first")
    llm.close()
    save(folder / "made.json", made)
    return run_again(folder, made, folder / "results")


def check(folder: Path) -> bool:
    """Run the studies on a copy of the home and compare."""
    made = json.loads((folder / "made.json").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as place:
        quiet = run_again(folder, made, Path(place))
        same = compare(folder / "results", Path(place), made["studies"])
    return quiet and same


def save(path: Path, value: Any) -> None:
    """Write a JSON file; its folder is created if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def main() -> int:
    """Make or check; the exit code is 1 if results differ or something was called or added."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=DATA, help="data directory with real rows, for make")
    parser.add_argument("--only", nargs="+", metavar="STUDY", help="studies to make; all unless given")
    options = parser.parse_args()
    folder = options.folder.absolute()
    return int(not (make(folder, options.data, options.only) if options.what == "make" else check(folder)))


if __name__ == "__main__":
    sys.exit(main())
