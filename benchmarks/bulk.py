"""Do a million rows run in bounded memory, and survive a kill? Imports and generates made-up rows at growing sizes.

    python -m benchmarks.bulk --rows 100000 1000000

Each measurement is a process of its own: rows a second, and its most resident memory. The LLM is a function that
answers at once, so that what is measured is our own work: journal, filters and store. One generation is killed in the
middle and run again: it must lose no call, ask none again that was on disk, and end with the rows of an undisturbed
one. Exits with 1 where it does not, where memory passes its bound, or where ten times the rows take over
``MOST_GROWTH`` times as long.
"""

import argparse
import asyncio
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.filters import Writer, peak_gib
from tasks.config import GeneratorConfig, ImportConfig
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.generation.filters import ORDER
from tasks.generation.synthesize import synthesize
from tasks.llm.calls import Answer, Completion, Request
from tasks.llm.journal import read_journal
from tasks.records import SynthesisJob, TaskData
from tasks.settings import Settings
from tests.provider import ROOT

TASK = "sms_spam"
POOL = 0.1
"""Share of the real training rows that prompts may show."""
MOST_GIB = 1.0
MOST_GROWTH = 1.5
"""Times the seconds a row that the largest size may take, against the smallest."""
AT_ONCE = 64
CALLS_FILE = "asked"
"""Seeds of the calls that the LLM was asked, eight bytes each, in their order."""


def real_rows() -> TaskData:
    """The task whose texts the made-up ones are put together from."""
    return load(find_task(TASK, Path.cwd()), Settings(), POOL)


def writer_of(data: TaskData, rows: int) -> Writer:
    """Writes texts from real ones that no prompt shows."""
    pool = set(data.pool)
    return Writer([row.text for row in data.train if row not in pool], data.pool, rows)


def write_rows(path: Path, rows: int) -> None:
    """A file to import, half of its rows of each label."""
    data = real_rows()
    writer, labels = writer_of(data, rows), tuple(data.task.labels)
    with path.open("w") as file:
        for number in range(rows):
            line = {"text": writer.row(number), "label": labels[number % len(labels)]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def job_of(data: TaskData, rows: int, each: int, file: Path | None) -> SynthesisJob:
    """A synthesis that looks at exactly so many texts; ``each`` answer of the LLM has so many."""
    imported = file and ImportConfig(name="made-up", task=TASK, file=str(file))
    fields: dict[str, Any] = {"model": "fake/llm", "concurrency": AT_ONCE, "texts_per_call": each, "price": None}
    generator = GeneratorConfig(model="made-up") if imported else GeneratorConfig.model_validate(fields)
    mode = "imported" if imported else "few_shot"
    return SynthesisJob(data.task, mode, generator, 0, rows // len(data.task.labels), 0.0, ORDER, imported)


def measure(home: Path, rows: int, each: int, file: Path | None) -> dict[str, Any]:
    """What one synthesis takes and comes to."""
    data = real_rows()
    job, writer = job_of(data, rows, each, file), writer_of(data, rows)
    home.mkdir(exist_ok=True)
    writing = 0.0
    with (home / CALLS_FILE).open("ab", buffering=0) as asked:

        async def complete(request: Request) -> Completion:
            nonlocal writing
            asked.write(request.seed.to_bytes(8, "little"))
            await asyncio.sleep(0)
            start = time.thread_time()
            texts = [writer.row(request.seed * each + i) for i in range(each)]
            writing += time.thread_time() - start
            text = texts[0] if each == 1 else "\n".join(f"{i}. {text}" for i, text in enumerate(texts, start=1))
            return Completion((Answer(text, "stop"),), "fake/llm", 400, 20 * each, 0.0)

        start, cpu = time.perf_counter(), time.process_time()
        made = synthesize(job, data, Settings(home=home), complete=complete, report=lambda progress: None)
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
    """The same in a process of its own, whose memory is its own."""
    given = ["--home", str(home), "--rows", str(rows), "--texts", str(each), *(["--file", str(file)] if file else [])]
    return [sys.executable, "-m", "benchmarks.bulk", *given]


def measured(home: Path, rows: int, each: int, file: Path | None = None) -> dict[str, Any]:
    """What a process measures."""
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


def kill_in_the_middle(home: Path, rows: int, each: int) -> dict[str, int]:
    """Kill a generation when half of its calls are asked; which of its calls are on disk then, by seed."""
    with subprocess.Popen(command(home, rows, each, None), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        asked = home / CALLS_FILE
        while process.poll() is None and (not asked.exists() or asked.stat().st_size < 8 * rows // each // 2):
            time.sleep(0.05)
        if process.poll() is not None:
            raise RuntimeError("it ended before it could be killed")
        process.send_signal(signal.SIGKILL)
    on_disk = read_journal(next((home / "journals").glob("*.jsonl")))
    return {call: entry.seed for call, entry in on_disk.items()}


def seeds_asked(home: Path) -> "array[int]":
    """Seeds of all calls that the LLM was asked, in their order."""
    return array("Q", (home / CALLS_FILE).read_bytes())


def main() -> int:
    """Run, print, and say by the exit code whether bounds were kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--texts", type=int, default=1, help="texts that the LLM gives in one answer")
    parser.add_argument(
        "--only", nargs="+", choices=["import", "generate", "kill"], default=["import", "generate", "kill"]
    )
    parser.add_argument("--home", type=Path, help="measure one synthesis in this home, and print what it took as JSON")
    parser.add_argument("--file", type=Path, help="with --home: a file to import")
    options = parser.parse_args()
    if options.home:
        print(json.dumps(measure(options.home, options.rows[0], options.texts, options.file)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return int(missed(Path(folder), options.rows, options.texts, options.only))


def missed(folder: Path, sizes: Iterable[int], each: int, only: list[str]) -> bool:
    """Run all parts; whether a bound was missed."""
    found: dict[str, list[dict[str, Any]]] = {"import": [], "generate": [], "kill": []}
    wrong = []
    for rows in sizes:
        file = folder / f"{rows}.jsonl"
        if "import" in only:
            write_rows(file, rows)
            found["import"].append(measured(folder / f"import-{rows}", rows, each, file))
            show("import", found["import"][-1])
            file.unlink()
        quiet, killed = folder / f"quiet-{rows}", folder / f"killed-{rows}"
        if "generate" in only or "kill" in only:
            found["generate"].append(measured(quiet, rows, each))
            show(f"fake LLM, {each} a call", found["generate"][-1])
        if "kill" in only:
            on_disk = kill_in_the_middle(killed, rows, each)
            before = len(seeds_asked(killed))
            found["kill"].append(measured(killed, rows, each))
            show(f"the same, killed after {len(on_disk)} calls: the rest", found["kill"][-1])
            again = set(seeds_asked(killed)[before:]) & set(on_disk.values())
            after = read_journal(next((killed / "journals").glob("*.jsonl")))
            lost = [call for call in on_disk if call not in after]
            same = found["kill"][-1]["sha256"] == found["generate"][-1]["sha256"]
            print(f"  calls lost {len(lost)}, asked again {len(again)}, rows {'the same' if same else 'OTHERS'}")
            wrong += [not same, bool(lost), bool(again)]
    for name, runs in found.items():
        if len(runs) > 1:
            growth = (runs[-1]["seconds"] / runs[-1]["rows"]) / (runs[0]["seconds"] / runs[0]["rows"])
            print(f"{name}: {growth:.2f} times the seconds a row of the smallest size (at most {MOST_GROWTH:g})")
            wrong.append(growth > MOST_GROWTH and name != "kill")  # whose rest depends on the moment of the kill
        wrong += [run["gib"] > MOST_GIB for run in runs]
    return any(wrong)


if __name__ == "__main__":
    sys.exit(main())
