"""Is a study of 10,000 cells planned, compared and reported in time? One row for each step.

    python -m benchmarks.large

Rows and predictions are made up; imports pass the product's filters, and trials are in the store under the product's
keys. Two shapes are measured: one draw of rows for the whole study, and a draw for each seed, with a synthesis for each
import and seed. Each is also measured with an eighth of the imports, to show times that grow faster than the number of
cells. Exits with 1 if a plan or a comparison takes too long, or memory exceeds its limit.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.filters import peak_gib
from tasks import jsonl
from tasks.analysis.compare import compare
from tasks.analysis.decisions.champion import update_champions
from tasks.analysis.subjectivity.agreement import rater_agreement
from tasks.config import FileSource, StudyConfig, TaskConfig
from tasks.data.sample import test_sample
from tasks.generation.synthesize import synthesize
from tasks.planning.grid import by_mode, summarise, synthetic_jobs
from tasks.planning.make import make_plan
from tasks.planning.plan import Plan
from tasks.records import Example, Spent, Synthesis, TaskData, Trial, TrialJob, content_key
from tasks.reporting import publish
from tasks.reporting.results import Results, to_json, total
from tasks.reporting.section import AnalysisInputs
from tasks.reporting.sections import analysed
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.rows import training_rows
from tasks.training.trial import KIND, PREDICTIONS, Prediction, Scores, StoredTrial, item_key, trial_key

MOST_S = {"plan": 30.0, "compare": 120.0}
"""Most seconds of a step for 10,000 cells on two cores."""
MOST_GIB = 2.0
SEEDS = 20
LABELS = (2, 2, 3, 6)
"""Number of labels of each task."""
TRAIN, TEST, IMPORTED = 4000, 600, 435
"""Rows of a task and of an import."""
SHARE = 8
"""The small study has this fraction (1/8) of the imports."""
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]

Draws = Literal["study", "seed"]


@dataclass(frozen=True)
class Made:
    """A study whose syntheses and trials are all in the store."""

    config: StudyConfig
    data: tuple[TaskData, ...]
    settings: Settings
    syntheses: tuple[Synthesis, ...]
    trials: tuple[Trial, ...]


@dataclass
class Clock:
    """Wall seconds and CPU seconds of each step. Other work on the machine hardly changes CPU seconds."""

    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Measure the time of the block."""
        start, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds[step] = time.perf_counter() - start, time.process_time() - cpu


def make_task(number: int) -> TaskData:
    """Rows of about 20 words; the first task has varying agreement of its raters."""
    rng = np.random.default_rng(number)
    labels = [f"label_{i}" for i in range(LABELS[number])]
    task = TaskConfig(
        name=f"task_{number}",
        title="Which kind of note is it?",
        text="a note",
        context="Imagine that you write notes.",
        labels={label: f"a note of kind {label}" for label in labels},
        sources=(FileSource(train="train.csv"),),
    )

    def rows(place: str, n: int) -> tuple[Example, ...]:
        agreed = rng.choice([0.6, 0.8, 1.0], n) if number == 0 and place == "test" else None
        return tuple(
            Example(text, labels[i % len(labels)], None if agreed is None else float(agreed[i]))
            for i, text in enumerate(texts(rng, place, n))
        )

    train = rows("train", TRAIN)
    return TaskData(task, train, train[: TRAIN // 10], rows("test", TEST), "made up")


def texts(rng: np.random.Generator, place: str, n: int) -> list[str]:
    """Distinct texts of about 20 words."""
    return [f"{place} {i} {' '.join(rng.choice(WORDS, 20))}" for i in range(n)]


def make_study(folder: Path, imports: int, classifiers: int, draws: Draws) -> tuple[StudyConfig, tuple[TaskData, ...]]:
    """A study with ``imports`` files to import for each task, and probes with ``classifiers`` settings."""
    data = tuple(map(make_task, range(len(LABELS))))
    listed = []
    for rows in data:
        labels = list(rows.task.labels)
        for i in range(imports):
            path = folder / f"{rows.task.name}-{i}.csv"
            made = texts(np.random.default_rng([i, len(listed)]), f"import {i}", IMPORTED)
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("text", "label"), *zip(made, labels * IMPORTED, strict=False)])
            listed.append({"name": f"import {i}", "task": rows.task.name, "file": str(path)})
    config = {
        "name": "large",
        "tasks": [rows.task.name for rows in data],
        "modes": ["real", "imported"],
        "imports": listed,
        "classifiers": [{"model": "probe/embedded/minilm-l6", "max_length": 64 + 16 * i} for i in range(classifiers)],
        "filters": ["duplicate"],
        "seeds": list(range(SEEDS)),
        "synthesis_per": draws,
        "rows_per_label": 60,
        "test_rows": TEST,
    }
    return StudyConfig.model_validate(config), data


def fill(config: StudyConfig, data: tuple[TaskData, ...], settings: Settings) -> Made:
    """Import all rows and put a trial of every cell into the store, as after a finished run."""
    store, of_task = Store(settings.store_url), {rows.task.name: rows for rows in data}
    plan, syntheses = make_plan(config, data, settings), []
    jobs = list(plan.real_jobs)
    keys = {job.task.name: job.data_key for job in jobs}
    for wanted in plan.synthesis_jobs:
        made = synthesize(wanted, of_task[wanted.task.name], settings, report=lambda step: None)
        jobs += synthetic_jobs(config, of_task[wanted.task.name], keys[wanted.task.name], made)
        syntheses.append(made)
    distinct = {content_key(job): job for job in jobs}.values()
    lines = {rows.task.name: _lines(rows) for rows in data}
    trials = [_put(job, of_task[job.task.name], lines[job.task.name], store) for job in distinct]
    return Made(config, data, settings, tuple(by_mode(config, syntheses)), tuple(trials))


Lines = list[list[bytes]]
"""For each test row and each label, the stored line that predicts this label."""


def _lines(data: TaskData) -> Lines:
    labels = tuple(data.task.labels)
    return [
        [
            jsonl.encode(
                Prediction(item_key(row.text), row.label, said, tuple(float(said == x) for x in labels), row.agreement)
            )
            for said in labels
        ]
        for row in data.test
    ]


def _put(job: TrialJob, data: TaskData, lines: Lines, store: Store) -> Trial:
    """Store and return the trial of a cell; its expected accuracy depends on its arm."""
    train, test = training_rows(job, data, store), test_sample(data, job.test_rows)
    key = trial_key(job, train, test)
    rng, labels = np.random.default_rng([int(key[:8], 16), job.seed]), list(job.task.labels)
    place = {row.text: i for i, row in enumerate(data.test)}
    good = 0.9 - 0.2 * (int(job.arm.id[:4], 16) / 0xFFFF) * (job.arm.source is not None)
    right, other = rng.random(len(test)) < good, rng.integers(0, len(labels), len(test))
    said = [labels.index(row.label) if right[i] else int(other[i]) for i, row in enumerate(test)]
    content = b"".join(lines[place[row.text]][label] + b"\n" for row, label in zip(test, said, strict=True))
    score = float(np.mean([labels[label] == row.label for row, label in zip(test, said, strict=True)]))
    scores = Scores(score, score, {}, seconds=1.0)
    stored = StoredTrial(scores, len(test), len(train), job.classifier.model_dump())
    store.put(KIND, key, stored, {PREDICTIONS: content})
    return job.ended(key, job.label_counts, len(test), macro_f1=score, accuracy=score, seconds=1.0, cached=True)


def conclude(made: Made, clock: Clock) -> tuple[Plan, Results, str]:
    """Plan the study and analyse its trials as a run does, and measure each step; returns plan, results and page."""
    config, store, trials = made.config, Store(made.settings.store_url), made.trials
    with clock("plan"):
        plan = make_plan(config, made.data, made.settings)
    with clock("compare"):
        comparisons = compare(trials, store, config.tolerance)
    with clock("champions"):
        challenges = update_champions(trials, store)
    tasks = [summarise(config, rows) for rows in made.data]
    with clock("results"):
        results = Results(
            created="2026-01-01T00:00:00+00:00",
            config=config,
            tasks=tasks,
            cells=trials,
            syntheses=made.syntheses,
            comparisons=comparisons,
            challenges=challenges,
            totals=total(made.syntheses, trials, Spent(), None),
        )
    with clock("sections"):
        agreement = {rows.task.name: rater_agreement(rows.test) for rows in made.data}
        results = analysed(results, AnalysisInputs(store, agreement, {}, ()))
    with clock("page"):
        page = publish.report_html(results, made.settings)
    return plan, results, page


def measure(imports: int, classifiers: int, draws: Draws) -> tuple[int, dict[str, tuple[float, float]], str]:
    """Number of cells, seconds of each step, and a description of sizes."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", data_dir=None)
        config, data = make_study(Path(folder), imports, classifiers, draws)
        clock = Clock()
        with clock("made up and stored"):
            made = fill(config, data, settings)
        plan, results, page = conclude(made, clock)
        missing = sum(not planned.stored for planned in plan.trials)
        if missing or len(plan.trials) != len(made.trials):
            sys.exit(f"{missing} of {len(plan.trials)} cells are not found in the store, which has {len(made.trials)}")
        sizes = f"{len(results.comparisons)} arms, {len(made.syntheses)} syntheses; page {len(page) / 1e6:.1f} MB, "
        sizes += f"results.json {len(to_json(results)) / 1e6:.1f} MB"
        return len(made.trials), clock.seconds, sizes


def main() -> int:
    """Run and print; the exit code is 1 if a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", choices=["study", "seed"], nargs="+", default=["study", "seed"])
    parser.add_argument("--imports", type=int, default=30, help="of each of four tasks")
    parser.add_argument("--classifiers", type=int, default=4)
    options = parser.parse_args()
    kept = True
    for draws in options.draws:
        small, before, _ = measure(max(1, options.imports // SHARE), options.classifiers, draws)
        memory = peak_gib()
        cells, seconds, sizes = measure(options.imports, options.classifiers, draws)
        print(f"\none draw a {draws}: {cells} cells, {sizes}")
        print(f"beside {small} cells; a growth of {cells / small:.1f} is linear")
        for step, (took, cpu) in seconds.items():
            most = MOST_S.get(step)
            growth = f"growth {cpu / before[step][1]:6.1f}" if cpu > 0.1 else ""
            bar = f"at most {most:g} s for 10,000 cells" if most else ""
            print(f"{step:<20} {took:8.2f} s  CPU {cpu:8.2f} s {1000 * cpu / cells:8.3f} ms a cell  {growth:<14} {bar}")
            kept = kept and (most is None or took / cells * 10_000 <= most)
        print(f"{'peak memory':<20} {peak_gib():8.2f} GiB, {memory:.2f} after {small} cells; at most {MOST_GIB:g}")
    return int(not (kept and peak_gib() <= MOST_GIB))


if __name__ == "__main__":
    sys.exit(main())
