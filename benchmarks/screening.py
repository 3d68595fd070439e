"""Is screening with probes close to its lower bound, embedding each distinct text once? One row for each figure.

    python -m benchmarks.screening --only embed study cells

``embed`` compares rows a second with the first release's method, which is copied in this file, alternately on the same
texts, and with a lower bound of the time: only the encoder's matrix products, with the same shapes. ``study`` runs 32
imported sets of 435 rows, a probe, 3 seeds and 600 test rows as a command in a new home; its lower bound is the time of
embedding its distinct texts at the rate measured in the same run. ``cells`` is a study of 1,000 probe cells, each with
its own rows, whose texts are already embedded.

Some processors cannot reach a target, so a missed target is only printed. Exits with 1 if a limit is missed or a part
fails; the other parts still run.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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

TARGET_RATIO, TARGET_STUDY_S, TARGET_FACTOR = 2.0, 60.0, 1.5
"""Multiple of the first release's rows a second; seconds for the study in a new home; factor between a plan's minutes
and the measured time, in both directions."""
LEAST_SHARE, LEAST_COSINE = 0.7, 0.999
"""Least share of the speed of the matrix products alone; least cosine to the first release's vectors."""
MOST_STUDY_S, MOST_CELLS_S, MOST_GIB = 120.0, 40.0, 2.0
SETS, ROWS, SEEDS, TEST, CELLS = 32, 435, 3, 600, 1000
TASK, PROBE, MAX_LENGTH = "headline_sarcasm", f"probe/{EMBEDDED_CLASSIFIER}", 256
TEXTS = {"messages": ("sms_spam", 1, 1200), "headlines": (TASK, 1, 1200), "long texts": (TASK, 14, 100)}
"""Task, number of its texts that are joined to one, and number of joined texts."""
ROUNDS = 3


def first_release(texts: Sequence[str], max_length: int, precision: str, threads: int) -> np.ndarray:
    """The first release's method: batches of 64 texts, each on all cores, the encoder loaded in each call."""
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


def products(texts: Sequence[str], max_length: int, threads: int) -> float:
    """Seconds of only the encoder's matrix products, in float32 and without padding, on ``threads`` cores.

    These are the products of its linear layers and of attention, for about 1,024 tokens at a time.
    """
    import torch

    library = encoders.transformers()
    encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
    tokenizer = encoders.load(encoder, library.AutoTokenizer.from_pretrained)
    model = encoders.load(encoder, library.AutoModel.from_pretrained, dtype=torch.float32).eval()
    lengths = sorted(len(item["input_ids"]) for item in encoders.tokenize(tokenizer, texts, max_length))
    layers = [item for item in model.encoder.modules() if isinstance(item, torch.nn.Linear)]
    heads, width = model.config.num_attention_heads, model.config.hidden_size
    inputs = {item.in_features: torch.randn(encoders.BATCH_TOKENS["cpu"], item.in_features) for item in layers}

    def batch(length: int) -> None:
        rows = max(1, encoders.BATCH_TOKENS["cpu"] // length)
        with torch.inference_mode():
            for layer in layers:
                layer(inputs[layer.in_features][: rows * length])
            for _ in range(model.config.num_hidden_layers):
                query = torch.empty(rows * heads, length, width // heads).fill_(0.1)
                torch.bmm(torch.bmm(query, query.transpose(1, 2)), query)

    batches, place = list[int](), 0
    while place < len(lengths):
        batches.append(lengths[place])
        place += max(1, encoders.BATCH_TOKENS["cpu"] // lengths[place])
    start = time.perf_counter()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(batch, batches))
    return time.perf_counter() - start


def each_way(texts: Sequence[str], rounds: int) -> tuple[dict[str, float], float]:
    """Rows a second of the first release's method, of ours, and of only the matrix products, each the best of several
    rounds; and the smallest cosine.

    It runs in a worker process, as in the product, so that this process does not import torch.
    """
    encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
    taken: dict[str, list[float]] = {"before": [], "now": [], "products": []}
    for number in range(rounds + 1):  # the first one imports and loads
        start = time.perf_counter()
        before = first_release(texts, MAX_LENGTH, precision(), cores())
        middle = time.perf_counter()
        now = encoders.embed(encoder, texts, MAX_LENGTH, precision(), cores()).vectors
        end = time.perf_counter()
        alone = products(texts, MAX_LENGTH, cores())
        if number:
            taken["before"].append(middle - start)
            taken["now"].append(end - middle)
            taken["products"].append(alone)
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(now, axis=1)
    cosine = float(((before * now).sum(1) / lengths).min())
    return {name: len(texts) / min(seconds) for name, seconds in taken.items()}, cosine


def target(reached: bool, wanted: str) -> str:
    """The target and whether it was reached."""
    return f"target {wanted} {'reached' if reached else 'MISSED'}"


def planned(results: dict[str, Any], seconds: float) -> Figure:
    """The plan's estimate of a study's time, compared with the measured time."""
    minutes = results["estimate"]["minutes"]
    if minutes is None:
        return Figure("  planned", "unknown")
    factor = max(60 * minutes, 1) / seconds
    reached = 1 / TARGET_FACTOR <= factor <= TARGET_FACTOR
    return Figure("  planned", f"{60 * minutes:.0f} s: {factor:.2f} x", target(reached, f"{TARGET_FACTOR:g} x"))


def embed(options: argparse.Namespace) -> Iterator[Figure]:
    """Embedded rows a second by kind of text."""
    for name, (task, joined, count) in TEXTS.items():
        count = options.texts or count
        single = [row.text for row in real_rows(task).train[: joined * count]]
        texts = [" ".join(single[start : start + joined]) for start in range(0, len(single), joined)]
        speeds, cosine = worker.call(each_way, texts, options.rounds)
        ratio, share = speeds["now"] / speeds["before"], speeds["now"] / speeds["products"]
        value = f"{speeds['before']:.0f} to {speeds['now']:.0f} rows a second: {ratio:.2f} x"
        yield Figure(f"embedding {len(texts)} {name}", value, target(ratio >= TARGET_RATIO, f"{TARGET_RATIO:g} x"))
        value = f"{share:.0%} of {speeds['products']:.0f} rows a second"
        yield Figure("  of the matrix products alone", value, f">= {LEAST_SHARE:.0%}", share >= LEAST_SHARE)
        yield Figure("  smallest cosine", f"{cosine:.7f}", f">= {LEAST_COSINE}", cosine >= LEAST_COSINE)
    worker.stop_workers()


def study(options: argparse.Namespace) -> Iterator[Figure]:
    """The study of many imported sets, in a new home."""
    data = real_rows(TASK)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        writer, labels = Writer([row.text for row in data.train], (), 0), list(data.task.labels)
        imports, rng = [], random.Random(0)
        for number in range(options.sets):
            path = place / f"set-{number}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                lines = csv.writer(file)
                lines.writerow(["text", "label"])
                lines.writerows([" ".join(writer.fresh(rng)), labels[row % len(labels)]] for row in range(options.rows))
            imports.append({"name": f"set-{number}", "task": TASK, "file": path.name})
        grid = {"modes": ["real", "imported"], "imports": imports, "seeds": list(range(SEEDS))}
        results, seconds, gib = run(place, rows_per_label=options.rows // len(labels), **grid)
        store = Store(str(place / "home" / "store"))
        shards = [store.get(embeddings.KIND, key) or {} for key in store.keys(embeddings.KIND)]
        texts = sum(shard["texts"] for shard in shards)
        sample = [" ".join(writer.fresh(rng)) for _ in range(2000)]
        encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
        for _ in range(2):  # the first one imports and loads
            start = time.perf_counter()
            worker.call(encoders.embed, encoder, sample, MAX_LENGTH, precision(), cores())
            floor = (time.perf_counter() - start) * texts / len(sample)
        worker.stop_workers()
        cells = len(results["cells"])
        name = f"{options.sets} imported sets: {cells} cells from nothing"
        reached = target(seconds <= TARGET_STUDY_S, f"{TARGET_STUDY_S:g} s")
        yield Figure(name, f"{seconds:.0f} s; {reached}", f"<= {MOST_STUDY_S:g} s", seconds <= MOST_STUDY_S)
        yield Figure(f"  floor: embedding {texts} texts", f"{floor:.0f} s")
        yield planned(results, seconds)
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
        yield planned(results, seconds)
        yield Figure("  peak memory of all processes", f"{gib:.2f} GiB", f"<= {MOST_GIB:g} GiB", gib <= MOST_GIB)


def real_rows(task: str) -> TaskData:
    """A task's rows, from the package that contains them."""
    return load(find_task(task, Path.cwd()), Settings(data_dir=None), 0.1)


def run(place: Path, **fields: Any) -> tuple[dict[str, Any], float, float]:
    """Results, seconds and peak GiB (of all its processes) of a study that is run as a command."""
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
            raise RuntimeError(f"the study ended with {process.returncode}:\n{said.read().decode()[-4000:]}")
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


Part = Callable[[argparse.Namespace], Iterator[Figure]]
PARTS: dict[str, Part] = {"embed": embed, "study": study, "cells": cells}


def report(parts: Mapping[str, Part], options: argparse.Namespace) -> bool:
    """Print each part's figures; returns whether all limits were kept. If a part fails, the others still run."""
    kept = True
    for name, part in parts.items():
        try:
            for figure in part(options):
                print(figure, flush=True)
                kept = kept and figure.ok is not False
        except Exception:
            print(f"{name} failed:\n{traceback.format_exc()}", flush=True)
            kept = False
    return kept


def main() -> int:
    """Run and print; the exit code is 1 if a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--texts", type=int, help="of each kind to embed; by default as many as a table says")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="repetitions of all ways of embedding")
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--rows", type=int, default=ROWS, help="of a set")
    parser.add_argument("--cells", type=int, default=CELLS)
    options = parser.parse_args()
    return int(not report({name: PARTS[name] for name in options.only}, options))


if __name__ == "__main__":
    sys.exit(main())
