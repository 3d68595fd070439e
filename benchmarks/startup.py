"""How long do commands take in a new home, and if nothing has changed? One row for each command.

    python -m benchmarks.startup

The study has three probe cells: 40 rows a label of the packaged SMS, and two imports of made-up texts; no LLM. Its
first run starts Prefect's server, makes Prefect's and MLflow's databases, and trains; the next run finds nothing
changed, and one with ``--again`` finds every cell stored. CPU seconds include those of servers and workers; on a busy
machine they are more reliable than wall seconds. Exits with 1 if a limit is missed.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.generation import Figure

MOST_FIRST_S, MOST_UNCHANGED_S = 20.0, 5.0
"""Most wall seconds of the first run and of an unchanged one, on two idle cores."""
WORDS = {
    "ham": "see you at home later bring the keys please dinner is ready soon mate",
    "spam": "win a free prize call now to claim your cash offer text stop urgent",
}
FOREIGN = ("PREFECT_", "MLFLOW_", "SYNTHGAP_")


def write_study(folder: Path) -> Path:
    """Write the study with its imports; returns its path."""
    drawn = random.Random(0)
    for name in ("theirs", "others"):
        texts = [
            f"{label},{' '.join(drawn.choices(words.split(), k=9))} {number}"
            for label, words in WORDS.items()
            for number in range(60)
        ]
        (folder / f"{name}.csv").write_text("\n".join(["label,text", *texts]) + "\n")
    study = {
        "name": "startup",
        "tasks": ["sms_spam"],
        "modes": ["real", "imported"],
        "imports": [{"name": name, "task": "sms_spam", "file": f"{name}.csv"} for name in ("theirs", "others")],
        "classifiers": ["probe/embedded/minilm-l6"],
        "seeds": [0],
        "rows_per_label": 40,
        "test_rows": 200,
        "reference_rows": 0,
    }
    path = folder / "startup.yaml"
    path.write_text(json.dumps(study))
    return path


def timed(home: Path, *arguments: str) -> tuple[float, float]:
    """Wall seconds and CPU seconds of a command."""
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    command = [sys.executable, "-m", "flows.cli", *arguments]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, env={**foreign, "SYNTHGAP_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"synthgap {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Run and print; the exit code is 1 if a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="repetitions of what is quick; the median counts")
    options = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as place:
        home, study = Path(place) / "home", str(write_study(Path(place)))
        commands: list[tuple[str, tuple[str, ...], int, float | None]] = [
            ("synthgap --help", ("--help",), options.times, None),
            ("plan", ("plan", study), options.times, None),
            ("run, the first", ("run", study), 1, MOST_FIRST_S),
            ("run, unchanged", ("run", study), options.times, MOST_UNCHANGED_S),
            ("run --again", ("run", study, "--again"), 1, None),
        ]
        for name, arguments, times, most in commands:
            taken = [timed(home, *arguments) for _ in range(times)]
            wall, cpu = (median(values) for values in zip(*taken, strict=True))
            ok = None if most is None else wall < most
            print(Figure(name, f"{wall:.1f} s, {cpu:.1f} s of CPU", f"< {most:g} s" if most else "", ok), flush=True)
            missed = missed or ok is False
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
