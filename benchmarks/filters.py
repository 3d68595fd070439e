"""Is the time of filters nearly linear? Filters made-up rows by the default filters: first a fifth of them, then all.

    python -m benchmarks.filters --task sms_spam

Rows are new combinations of parts of a task's real texts. Known shares of them are copies, near copies, rewrites of
pool texts and LLM artefacts, the same in every run. Prints time, memory and rejected rows by reason; exits with 1 if
time or memory exceeds its limit.
"""

import argparse
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from tasks.config import TaskConfig
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.generation.filter import FilterContext
from tasks.generation.filters import ORDER, find_filters
from tasks.generation.form import ONE_TEXT
from tasks.generation.keys import test_hashes
from tasks.generation.pipeline import FilterPipeline
from tasks.llm.calls import Answer
from tasks.llm.journal import Entry
from tasks.records import Example, TaskData
from tasks.settings import Settings

SHARES = {"duplicate": 0.05, "near_duplicate": 0.10, "rewrite": 0.05, "debris": 0.02, "language": 0.01, "empty": 0.01}
"""Share of the rows made for each reason. Some are rejected for another one: a rewrite may also be a duplicate."""
FOREIGN = "Hallo {}, kommst du heute Abend um {} Uhr mit uns ins Kino oder bleibst du zu Hause?"
MOST_SECONDS, MOST_GIB = 120.0, 2.0


class Writer:
    """Writes rows. A row depends only on its number, so that rows need not be stored; some are copies of others."""

    def __init__(self, texts: list[str], pool: tuple[Example, ...], rows: int) -> None:
        self.texts = [text.split() for text in texts]
        self.words = sorted({word for words in self.texts for word in words})
        self.long_pool = [words for row in pool if len(words := row.text.split()) >= 10]
        self.originals = max(1, rows // 50)

    def row(self, number: int) -> str:
        """The text of that number."""
        rng = random.Random(number)
        kind = rng.choices([*SHARES, "new"], [*SHARES.values(), 1 - sum(SHARES.values())])[0]
        if kind == "empty":
            return "..."
        if kind == "debris":
            return f"I'm sorry, but I can't help with {' '.join(self.fresh(rng)[:4])}"
        if kind == "language":
            return FOREIGN.format(rng.choice(self.words), rng.randrange(24))
        if kind == "rewrite":
            return " ".join(self.replaced(rng, rng.choice(self.long_pool), share=0.15))
        if kind == "new":
            return " ".join(self.fresh(rng))
        original = self.fresh(random.Random(f"original {rng.randrange(self.originals)}"))
        return " ".join(original).upper() if kind == "duplicate" else " ".join(self.replaced(rng, original, share=0.04))

    def fresh(self, rng: random.Random) -> list[str]:
        """Words in parts of two to six from random real texts, as many as a random real text has."""
        length, words = max(3, len(rng.choice(self.texts))), []
        while len(words) < length:
            source, size = rng.choice(self.texts), rng.randint(2, 6)
            start = rng.randrange(len(source))
            words += source[start : start + size]
        return words[:length]

    def replaced(self, rng: random.Random, words: list[str], share: float) -> list[str]:
        """The words, of which ``share``, at least one, are replaced by random ones."""
        places = rng.sample(range(len(words)), max(1, round(share * len(words))))
        return [rng.choice(self.words) if i in places else word for i, word in enumerate(words)]


def entry(number: int, text: str) -> Entry:
    """The journal entry of a call that was answered with one text."""
    return Entry(f"c/{number}/0", "", 0, (Answer(text, "stop"),), "", "", 0, 0, 0.0, "", 0.0, "")


def filtered(
    task: TaskConfig, data: TaskData, pool: tuple[Example, ...], texts: list[str]
) -> tuple[float, FilterPipeline]:
    """Seconds of filtering all texts, and the pipeline with the results."""
    labels = {label: number for number, label in enumerate(task.labels)}

    def lookup(label: str, index: int) -> Entry:
        number = index * len(labels) + labels[label]
        return entry(number, texts[number])

    each = len(texts) // len(labels)
    start = time.perf_counter()
    rows = dict.fromkeys(task.labels, each)
    pipeline = FilterPipeline(
        FilterContext(task, pool, test_hashes(data.test)), find_filters(ORDER), ONE_TEXT, rows, rows, lookup
    )
    pipeline.advance()
    return time.perf_counter() - start, pipeline


def peak_gib() -> float:
    """Peak resident memory of this process so far, in GiB; Linux reports KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / 2**30 if sys.platform == "darwin" else peak / 2**20)


def main() -> int:
    """Run and print; the exit code is 1 if a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="sms_spam", help="catalog id; its real texts are what rows are made of")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pool", type=int, default=500, help="rows that few-shot prompts may show")
    options = parser.parse_args()

    data = load(find_task(options.task, Path.cwd()), Settings(), 0.1)
    shuffled = random.Random(0).sample(data.train, len(data.train))
    pool = tuple(shuffled[: options.pool])
    writer = Writer([row.text for row in shuffled[options.pool :]], pool, options.rows)
    texts = [writer.row(number) for number in range(options.rows)]

    filtered(data.task, data, pool, texts[:100])  # loads the language model
    part, _ = filtered(data.task, data, pool, texts[: options.rows // 5])
    whole, pipeline = filtered(data.task, data, pool, texts)
    rows, reasons = pipeline.looked.total(), Counter(row.reason for row in pipeline.rejected)
    print(f"{rows} rows of {options.task}, pool of {len(pool)}: {whole:.1f} s, {rows / whole:.0f} rows/s")
    print(f"{rows // 5} rows: {part:.1f} s; ratio {whole / part:.2f} (5 is linear)")
    print(f"peak memory {peak_gib():.2f} GiB")
    print(f"kept {sum(pipeline.kept.values())}; rejected: {dict(reasons.most_common())}")
    print(f"planted: { {kind: round(share * rows) for kind, share in SHARES.items()} }")
    return int(whole > MOST_SECONDS or peak_gib() > MOST_GIB)


if __name__ == "__main__":
    sys.exit(main())
