"""Is screening with probes near its floor, which is the embedding of each distinct text once? One row a figure.

    python -m benchmarks.screening --only embed study cells

``embed`` holds rows a second against the first release's way, of which this file keeps a copy, on the same texts in
turn. ``study`` is 32 imported sets of 435 rows, a probe, 3 seeds and 600 test rows, as a command in a fresh home; its
floor is the time of embedding its distinct texts at the rate measured beside it. ``cells`` is a study of 1,000 probe
cells, each with rows of its own, whose texts are embedded. Exits with 1 where a bar is missed.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.filters import Writer
from benchmarks.generation import Figure
from tasks.config import EMBEDDED_CLASSIFIER
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.records import TaskData
from tasks.settings import Settings
from tasks.store import Store
from tasks.training import embeddings, encoders, worker
from tasks.training.embeddings import find_embedder
from tasks.training.hardware import cores, precision
from tests.provider import ROOT

LEAST_RATIO, LEAST_COSINE = 2.0, 0.999
MOST_STUDY_S, MOST_CELLS_S, MOST_GIB = 60.0, 40.0, 2.0
SETS, ROWS, SEEDS, TEST, CELLS = 32, 435, 3, 600, 1000
TASK, PROBE, MAX_LENGTH = "headline_sarcasm", f"probe/{EMBEDDED_CLASSIFIER}", 256
TEXTS = {"messages": ("sms_spam", 1, 1200), "headlines": (TASK, 1, 1200), "long texts": (TASK, 14, 100)}
"""Task, how many of its texts are put together for one, and number of texts."""
ROUNDS = 3


def first_release(texts: Sequence[str], max_length: int, precision: str, threads: int) -> np.ndarray:
    """How the first release embedded: batches of 64 texts, each on all cores, the encoder loaded in each call."""
    import torch

    library = encoders.transformers()
    torch.set_num_threads(threads)
    encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
    tokenizer = encoders.load(encoder, library.AutoTokenizer.from_pretrained)
    model = encoders.load(encoder, library.AutoModel.from_pretrained, dtype=torch.float32).eval()
    encoders.check_finite(model, encoder.name, "as loaded")
    items = encoders.tokenize(tokenizer, texts, max_length)
    order = encoders.by_length(items)
    pooled = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for start in range(0, len(order), 64):
            chunk = order[start : start + 64]
            batch = tokenizer.pad([items[i] for i in chunk], return_tensors="pt")
            hidden = model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1).float()
            pooled[chunk] = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    return pooled


def both_ways(texts: Sequence[str], rounds: int) -> tuple[float, float, float]:
    """Rows a second of the first release's way and of ours, the best of some rounds in turn; the smallest cosine.

    In a worker process, as the product does it: this one stays free of torch.
    """
    encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
    seconds: dict[str, list[float]] = {"before": [], "now": []}
    for number in range(rounds + 1):  # the first one imports and loads
        start = time.perf_counter()
        before = first_release(texts, MAX_LENGTH, precision(), cores())
        middle = time.perf_counter()
        now = encoders.embed(encoder, texts, MAX_LENGTH, precision(), cores())
        if number:
            seconds["before"].append(middle - start)
            seconds["now"].append(time.perf_counter() - middle)
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(now, axis=1)
    cosine = float(((before * now).sum(1) / lengths).min())
    return len(texts) / min(seconds["before"]), len(texts) / min(seconds["now"]), cosine


def embed(options: argparse.Namespace) -> Iterator[Figure]:
    """Rows a second by kind of text."""
    for name, (task, joined, count) in TEXTS.items():
        single = [row.text for row in real_rows(task).train[: joined * count]]
        texts = [" ".join(single[start : start + joined]) for start in range(0, len(single), joined)]
        before, now, cosine = worker.call(both_ways, texts, options.rounds)
        value = f"{before:.0f} to {now:.0f} rows a second: {now / before:.2f} x"
        yield Figure(f"embedding {len(texts)} {name}", value, f">= {LEAST_RATIO:g} x", now >= LEAST_RATIO * before)
        yield Figure("  smallest cosine", f"{cosine:.7f}", f">= {LEAST_COSINE}", cosine >= LEAST_COSINE)
    worker.stop_workers()


def study(options: argparse.Namespace) -> Iterator[Figure]:
    """The study of many imported sets, from nothing."""
    data = real_rows(TASK)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        writer, labels = Writer([row.text for row in data.train], ()), list(data.task.labels)
        imports = []
        for number in range(options.sets):
            path = place / f"set-{number}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                lines = csv.writer(file)
                lines.writerow(["text", "label"])
                lines.writerows([" ".join(writer.fresh()), labels[row % len(labels)]] for row in range(2 * ROWS))
            imports.append({"name": f"set-{number}", "task": TASK, "file": path.name})
        grid = {"modes": ["real", "imported"], "imports": imports, "seeds": list(range(SEEDS))}
        results, seconds, gib = run(place, rows_per_label=ROWS // len(labels), **grid)
        store = Store(str(place / "home" / "store"))
        shards = [store.get(embeddings.KIND, key) or {} for key in store.keys(embeddings.KIND)]
        texts = sum(shard["texts"] for shard in shards)
        sample = [" ".join(writer.fresh()) for _ in range(2000)]
        encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
        for _ in range(2):  # the first one imports and loads
            start = time.perf_counter()
            worker.call(encoders.embed, encoder, sample, MAX_LENGTH, precision(), cores())
            floor = (time.perf_counter() - start) * texts / len(sample)
        worker.stop_workers()
        cells = len(results["cells"])
        name = f"{options.sets} imported sets: {cells} cells from nothing"
        yield Figure(name, f"{seconds:.0f} s", f"<= {MOST_STUDY_S:g} s", seconds <= MOST_STUDY_S)
        yield Figure(f"  floor: embedding {texts} texts", f"{floor:.0f} s")
        planned = results["estimate"]["minutes"]
        yield Figure("  planned", "unknown" if planned is None else f"{60 * planned:.0f} s")
        yield Figure("  peak memory of all processes", f"{gib:.2f} GiB")


def cells(options: argparse.Namespace) -> Iterator[Figure]:
    """Cells that need no embedding."""
    data = real_rows(TASK)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        store = Store(str(place / "home" / "store"))
        texts = [row.text for split in (data.train, data.test) for row in split]
        embeddings.embed(texts, find_embedder(EMBEDDED_CLASSIFIER, MAX_LENGTH), store)
        worker.stop_workers()
        grid = {"modes": ["real"], "seeds": list(range(options.cells)), "synthesis_per": "seed"}
        results, seconds, gib = run(place, rows_per_label=50, **grid)
        name = f"{len(results['cells'])} probe cells, texts embedded"
        yield Figure(name, f"{seconds:.0f} s", f"<= {MOST_CELLS_S:g} s", seconds <= MOST_CELLS_S)
        yield Figure("  peak memory of all processes", f"{gib:.2f} GiB", f"<= {MOST_GIB:g} GiB", gib <= MOST_GIB)


def real_rows(task: str) -> TaskData:
    """A task's rows, out of the package that carries them."""
    return load(find_task(task, Path.cwd()), Settings(data_dir=None), 0.1)


def run(place: Path, **fields: Any) -> tuple[dict[str, Any], float, float]:
    """Results, seconds and GiB of a study as a command, all of its processes counted."""
    config = {"name": "screening", "tasks": [TASK], "classifiers": [PROBE], "test_rows": TEST, "trainings": cores()}
    config |= {"reference_rows": 0, "untrained": [], "filters": ["duplicate"], **fields}
    path = place / "screening.yaml"
    path.write_text(json.dumps(config))
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SYNTHGAP_"))}
    ours = {"SYNTHGAP_HOME": str(place / "home"), "PREFECT_HOME": str(place / "prefect")}
    command = [sys.executable, "-m", "flows.cli", "run", str(path), "--json"]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, env=theirs | ours, stdout=subprocess.PIPE, stderr=said)
        most = [0]
        threading.Thread(target=_watch, args=(process.pid, most), daemon=True).start()
        results = process.communicate()[0]
        seconds = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"the study ended with {process.returncode}:\n{said.read().decode()[-4000:]}")
    return json.loads(results), seconds, most[0] / 2**30


def _watch(pid: int, most: list[int]) -> None:
    while True:
        try:
            root = psutil.Process(pid)
            found = [process.memory_info().rss for process in (root, *root.children(recursive=True))]
        except psutil.NoSuchProcess:
            if not psutil.pid_exists(pid):
                return
            continue
        most[0] = max(most[0], sum(found))
        time.sleep(0.5)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Figure]]] = {"embed": embed, "study": study, "cells": cells}


def main() -> int:
    """Run, print, and say by the exit code whether bars were kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="repetitions of both ways of embedding")
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--cells", type=int, default=CELLS)
    options = parser.parse_args()
    missed = False
    for name in options.only:
        for figure in PARTS[name](options):
            print(figure, flush=True)
            missed = missed or figure.ok is False
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
