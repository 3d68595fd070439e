"""Are measures of large sets fast and small, and the standard errors of sampled values right? A row for each measure.

    python -m benchmarks.measures

Vectors are embeddings of packaged headlines by the packaged encoder: sarcastic headlines against the others. If more
rows are needed than there are, headlines are drawn repeatedly and small noise is added to their vectors; texts are
built from parts of headlines. Exits with 1 if all measures together take too much time or memory, or if a sampled value
differs from the exact one by too many standard errors.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.filters import Writer, peak_gib
from tasks.analysis.measures import diversity, similarity
from tasks.analysis.measures.embedding import Vectors, embed
from tasks.analysis.measures.sampling import Measured
from tasks.analysis.measures.self_bleu import SIZE, self_bleu
from tasks.analysis.measures.two_sample import discriminator_auc, mmd
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.settings import Settings
from tasks.store import Store

TASK, LABELS = "headline_sarcasm", ("sarcastic", "not_sarcastic")
CORES = 2
MOST_SECONDS, MOST_GIB = 60.0, 3.0
NOISE = 0.02
"""Standard deviation of the noise in each of 384 dimensions: a cosine of about 0.93 to the vector without noise."""
FURTHEST = 4.0
"""Most standard errors by which a sampled value may differ from the exact one."""
SIDE = 1000


class Real:
    """Real texts of two labels and their embeddings."""

    def __init__(self) -> None:
        settings = Settings()
        data = load(find_task(TASK, Path.cwd()), settings, 0.1)
        self.texts = [[row.text for row in data.train if row.label == label] for label in LABELS]
        self.vectors = [embed(texts, Store(settings.store_url)) for texts in self.texts]

    def tiled(self, side: int, rows: int) -> Vectors:
        """``rows`` vectors similar to those of one label."""
        rng = np.random.default_rng(side)
        vectors = self.vectors[side][rng.integers(0, len(self.vectors[side]), rows)]
        vectors += rng.normal(0, NOISE, vectors.shape).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def written(self, rows: int) -> list[str]:
        """``rows`` texts, built from parts of texts of the first label."""
        writer, rng = Writer(self.texts[0], (), rows), random.Random(0)
        return [" ".join(writer.fresh(rng)) for _ in range(rows)]


def seconds_of(texts: Sequence[str], ours: Vectors, theirs: Vectors) -> dict[str, tuple[float, Measured | None]]:
    """Seconds and value of each measure."""
    calls: dict[str, Callable[[], Measured | None]] = {
        name: lambda measure=measure: measure(texts, ours) for name, measure in diversity.MEASURES.items()
    } | {name: lambda measure=measure: measure(ours, theirs) for name, measure in similarity.MEASURES.items()}
    found = {}
    for name, call in calls.items():
        start = time.perf_counter()
        value = call()
        found[name] = time.perf_counter() - start, value
    return found


def speed(real: Real, rows: int) -> bool:
    """Print each measure's time for all rows and for a fifth of them; returns whether limits were kept."""
    texts, ours, theirs = real.written(rows), real.tiled(0, rows), real.tiled(1, rows)
    seconds_of(texts[:100], ours[:100], theirs[:100])  # imports
    part = seconds_of(texts[: rows // 5], ours[: rows // 5], theirs[: rows // 5])
    cpu = time.process_time()
    whole = seconds_of(texts, ours, theirs)
    cpu = time.process_time() - cpu
    print(
        f"{rows} rows a side, {ours.shape[1]} dimensions, {CORES} BLAS threads; ratio to {rows // 5} rows, 5 is linear"
    )
    for name, (seconds, value) in whole.items():
        ratio = f"ratio {seconds / part[name][0]:6.2f}" if seconds > 0.01 else ""
        print(f"{name:<14} {seconds:7.2f} s  {ratio:<13} {_shown(value)}")
    total, before = (sum(seconds for seconds, _ in found.values()) for found in (whole, part))
    print(f"{'all':<14} {total:7.2f} s  ratio {total / before:6.2f} at most {MOST_SECONDS:g} s ({cpu:.0f} s of CPU)")
    print(f"peak memory {peak_gib():.2f} GiB, at most {MOST_GIB:g} GiB")
    return total <= MOST_SECONDS and peak_gib() <= MOST_GIB


def agreement(real: Real) -> Iterator[tuple[str, float, Measured]]:
    """Each sampled measure on real rows: its name, its exact value, and the value from a sample."""
    ours, theirs = real.vectors
    few, every = len(ours) * 2000, len(ours) * max(len(ours), len(theirs))
    for name, call in {
        "chamfer": lambda pairs: diversity.chamfer(ours, pairs=pairs),
        "top_5": lambda pairs: similarity.top_similarity(ours, theirs, pairs=pairs),
        "top_5_back": lambda pairs: similarity.top_similarity(theirs, ours, pairs=pairs),
    }.items():
        yield name, call(every).value, call(few)
    yield "mmd", mmd(ours, theirs, exact=len(theirs) + len(ours)).value, mmd(ours, theirs)
    texts = random.Random(0).sample(real.texts[0], len(real.texts[0]) // SIZE * SIZE)
    parts = [self_bleu(texts[i : i + SIZE]).value for i in range(0, len(texts), SIZE)]
    yield "self_bleu", float(np.mean(parts)), self_bleu(texts)
    rng = np.random.default_rng(0)
    ours, theirs = rng.permutation(ours), rng.permutation(theirs)
    starts = range(0, min(len(ours), len(theirs)) - SIDE + 1, SIDE)
    areas = [discriminator_auc(ours[i : i + SIDE], theirs[i : i + SIDE]) for i in starts]
    yield "auc", float(np.mean([area.value for area in areas[1:]])), areas[0]


def agree(real: Real) -> bool:
    """Print exact and sampled values; returns whether all differ by at most ``FURTHEST`` standard errors."""
    sizes = " and ".join(str(len(texts)) for texts in real.texts)
    print(f"\nsampled against exact, {sizes} real rows (self-BLEU: all sets of {SIZE}; AUC: other sets of {SIDE})")
    kept = True
    for name, exact, sampled in agreement(real):
        away = abs(sampled.value - exact) / sampled.error
        kept = kept and away <= FURTHEST
        print(f"{name:<14} exact {exact:.5f}  sampled {_shown(sampled)}  {away:.1f} errors away")
    return kept


def _shown(measured: Measured | None) -> str:
    if measured is None:
        return "undefined"
    return f"{measured.value:.5f}" + (f" ± {measured.error:.5f}" if measured.error else "")


def main() -> int:
    """Run and print; the exit code is 1 if a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    start = time.perf_counter()
    real = Real()
    print(
        f"{sum(map(len, real.texts))} headlines embedded, or found in the store, in {time.perf_counter() - start:.0f} s"
    )
    with threadpool_limits(limits=CORES):
        quick = speed(real, options.rows)
        return int(not (agree(real) and quick))


if __name__ == "__main__":
    sys.exit(main())
