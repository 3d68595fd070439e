"""Do a million rows run in limited memory, and survive a kill? Imports and generates made-up rows at growing sizes.

    python -m benchmarks.bulk --rows 100000 1000000

Each measurement is a separate process, which reports rows a second and its peak resident memory. The LLM is a function
that answers immediately, so that only our work is measured: journal, filters and store. Each synthesis is also killed
and run again: it must lose no call, repeat no call that was on disk, and have the rows of an uninterrupted run. Exits
with 1 if it does not, if memory exceeds its limit, or if a row of the largest size takes over ``MOST_GROWTH`` times the
CPU seconds of a row of the smallest.
"""

import argparse
import asyncio
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.filters import Writer, peak_gib
from tasks.config import GeneratorConfig, ImportConfig
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.generation.filters import ORDER
from tasks.generation.synthesize import synthesize
from tasks.llm.calls import Answer, Completion, Request
from tasks.llm.journal import Entry, read_journal
from tasks.progress import Progress
from tasks.records import SynthesisJob, TaskData
from tasks.settings import Settings
from tests.provider import ROOT

TASK = "sms_spam"
POOL = 0.1
"""Share of the real training rows that prompts may show."""
MOST_GIB = 1.0
MOST_GROWTH = 1.5
"""Highest ratio of the CPU seconds per row of the largest size to those of the smallest."""
AT_ONCE = 64
KILLED_AFTER = 0.25
"""Share of its texts after which a synthesis is killed."""
NOTED = "noted"
"""File with eight bytes for each LLM call (its seed) or each row of an import."""


def real_rows() -> TaskData:
    """The task from whose texts the made-up ones are built."""
    return load(find_task(TASK, Path.cwd()), Settings(), POOL)


def writer_of(data: TaskData, rows: int) -> Writer:
    """A writer of texts that are built from real ones that no prompt shows."""
    pool = set(data.pool)
    return Writer([row.text for row in data.train if row not in pool], data.pool, rows)


def write_rows(path: Path, rows: int) -> None:
    """Write a file to import, with equally many rows of each label."""
    data = real_rows()
    writer, labels = writer_of(data, rows), tuple(data.task.labels)
    with path.open("w") as file:
        for number in range(rows):
            line = {"text": writer.row(number), "label": labels[number % len(labels)]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def job_of(data: TaskData, rows: int, each: int, file: Path | None) -> SynthesisJob:
    """A synthesis that filters exactly ``rows`` texts; an answer of the LLM has ``each`` texts."""
    imported = file and ImportConfig(name="made-up", task=TASK, file=str(file))
    fields: dict[str, Any] = {"model": "fake/llm", "concurrency": AT_ONCE, "texts_per_call": each, "price": None}
    generator = GeneratorConfig(model="made-up") if imported else GeneratorConfig.model_validate(fields)
    mode = "imported" if imported else "few_shot"
    return SynthesisJob(data.task, mode, generator, 0, rows // len(data.task.labels), 0.0, ORDER, imported)


def measure(home: Path, rows: int, each: int, file: Path | None) -> dict[str, Any]:
    """Time, memory and rows of one synthesis."""
    data = real_rows()
    job, writer = job_of(data, rows, each, file), writer_of(data, rows)
    home.mkdir(exist_ok=True)
    writing = 0.0
    with (home / NOTED).open("ab", buffering=0) as noted:

        async def complete(request: Request) -> Completion:
            nonlocal writing
            noted.write(request.seed.to_bytes(8, "little"))
            await asyncio.sleep(0)
            start = time.thread_time()
            texts = [writer.row(request.seed * each + i) for i in range(each)]
            writing += time.thread_time() - start
            text = texts[0] if each == 1 else "\n".join(f"{i}. {text}" for i, text in enumerate(texts, start=1))
            return Completion((Answer(text, "stop"),), "fake/llm", 400, 20 * each, 0.0)

        def report(progress: Progress) -> None:
            if file:
                noted.write(bytes(8))

        start, cpu = time.perf_counter(), time.process_time()
        made = synthesize(job, data, Settings(home=home), complete=complete, report=report)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    stored = home / "store" / "syntheses" / made.key / "rows.jsonl"
    return {
        "rows": made.yields.requested,
        "kept": made.yields.kept,
        "rejected": dict(Counter(made.yields.rejected).most_common()),
        "calls": made.calls,
        "seconds": seconds - writing,
        "cpu": cpu - writing,
        "writing": writing,
        "gib": peak_gib(),
        "sha256": hashlib.sha256(stored.read_bytes()).hexdigest(),
    }


def command(home: Path, rows: int, each: int, file: Path | None) -> list[str]:
    """The command that measures in a separate process, so that its memory can be measured."""
    given = ["--home", str(home), "--rows", str(rows), "--texts", str(each), *(["--file", str(file)] if file else [])]
    return [sys.executable, "-m", "benchmarks.bulk", *given]


def measured(home: Path, rows: int, each: int, file: Path | None = None) -> dict[str, Any]:
    """The measurement of a separate process."""
    done = subprocess.run(command(home, rows, each, file), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(name: str, found: dict[str, Any]) -> None:
    """Print one measurement."""
    rate = found["rows"] / found["seconds"]
    print(
        f"{name:<44} {found['rows']:>9} rows {found['seconds']:8.1f} s {found['cpu']:8.1f} s CPU {rate:7.0f} rows/s "
        f"{found['gib']:6.2f} GiB   kept {found['kept']}",
        flush=True,
    )


def kill(home: Path, rows: int, each: int, file: Path | None) -> None:
    """Kill a synthesis after the share ``KILLED_AFTER`` of its texts."""
    with subprocess.Popen(command(home, rows, each, file), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        noted = home / NOTED
        while process.poll() is None and (not noted.exists() or noted.stat().st_size < 8 * rows / each * KILLED_AFTER):
            time.sleep(0.05)
        if process.poll() is not None:
            raise RuntimeError("it ended before it could be killed")
        process.send_signal(signal.SIGKILL)


def journal_in(home: Path) -> Mapping[str, Entry]:
    """The calls in a home's journal, if it has one."""
    return next(map(read_journal, (home / "journals").glob("*.jsonl")), {})


def numbers_noted(home: Path) -> "array[int]":
    """Seeds of all LLM calls, in their order."""
    return array("Q", (home / NOTED).read_bytes())


def main() -> int:
    """Run and print; the exit code is 1 if a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--texts", type=int, default=1, help="texts that the LLM gives in one answer")
    parser.add_argument("--only", choices=["import", "generate"])
    parser.add_argument("--home", type=Path, help="measure one synthesis in this home, and print what it took as JSON")
    parser.add_argument("--file", type=Path, help="with --home: a file to import")
    options = parser.parse_args()
    if options.home:
        print(json.dumps(measure(options.home, options.rows[0], options.texts, options.file)))
        return 0
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in [options.only] if options.only else ["import", "generate"]:
            quiet = []
            for rows in options.rows:
                found, failed = part(Path(folder), kind, rows, options.texts)
                quiet.append(found)
                wrong.append(failed)
            if len(quiet) > 1:
                growth = quiet[-1]["cpu"] / quiet[-1]["rows"] / (quiet[0]["cpu"] / quiet[0]["rows"])
                print(f"  {growth:.2f} times the CPU seconds a row of the smallest size (at most {MOST_GROWTH:g})")
                wrong.append(growth > MOST_GROWTH)
    return int(any(wrong))


def part(folder: Path, kind: str, rows: int, each: int) -> tuple[dict[str, Any], bool]:
    """Run one size without and with a kill; returns the measurement without it, and whether a limit was exceeded."""
    quiet_home, killed_home = folder / f"{kind}-{rows}", folder / f"{kind}-{rows}-killed"
    file = folder / f"{rows}.jsonl" if kind == "import" else None
    name = "import" if file else f"fake LLM, {each} a call"
    if file:
        write_rows(file, rows)
    quiet = measured(quiet_home, rows, each, file)
    show(name, quiet)
    kill(killed_home, rows, each, file)
    on_disk = {call: entry.seed for call, entry in journal_in(killed_home).items()}
    asked = len(numbers_noted(killed_home))
    rest = measured(killed_home, rows, each, file)
    show(f"{name}, again after a kill", rest)
    same = rest["sha256"] == quiet["sha256"]
    lost = again = 0
    if not file:
        lost = len(on_disk.keys() - journal_in(killed_home).keys())
        again = len(set(numbers_noted(killed_home)[asked:]) & set(on_disk.values()))
        print(f"  calls on disk at the kill {len(on_disk)}, lost {lost}, asked again {again}")
    print(f"  rows {'the same' if same else 'OTHERS'}", flush=True)
    for home in (quiet_home, killed_home):
        shutil.rmtree(home)
    return quiet, bool(not same or lost or again or max(quiet["gib"], rest["gib"]) > MOST_GIB)


if __name__ == "__main__":
    sys.exit(main())
