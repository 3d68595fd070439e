"""How much time do Prefect and MLflow add to the work, and are many trials fast and small? One row for each figure.

    python -m benchmarks.overhead --only share many added

``share`` does the same work alternately as a bare loop and as the flow, each time in a new home folder; servers are
started and databases migrated before the measurement. ``many`` finds every trial in the store, so that only the
product's own time is measured: for fine-tuned trials, each of which has a run in MLflow, and for probes, which have
none. ``added`` counts the work of a finished study after one more generator is added. Exits with 1 if a limit is
missed.
"""

import argparse
import contextlib
import itertools
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from benchmarks.generation import Figure
from flows.operations.ephemeral_server import EphemeralServer
from flows.run import quiet_prefect
from tasks.analysis.compare import compare
from tasks.analysis.decisions.champion import update_champions
from tasks.analysis.measures.describe import describe_real, describe_synthesis
from tasks.analysis.subjectivity.agreement import rater_agreement
from tasks.config import Study, StudyConfig
from tasks.data.load import load, read_data, save_data
from tasks.data.sample import test_sample
from tasks.generation.synthesize import read_rows, synthesize
from tasks.llm.ledger import open_ledger
from tasks.planning.grid import real_jobs, summarise, synthetic_jobs
from tasks.planning.make import load_tasks, make_plan
from tasks.planning.names import resolve
from tasks.progress import LOGGER, Progress
from tasks.records import Spent, Synthesis, TaskSummary, Trial, TrialJob
from tasks.reporting import publish
from tasks.reporting.results import Results, total
from tasks.reporting.section import AnalysisInputs
from tasks.reporting.sections import analysed
from tasks.settings import Settings
from tasks.store import Store
from tasks.tracking import runs
from tasks.training.request import Training
from tasks.training.rows import training_rows
from tasks.training.trial import run_trial
from tests.provider import MODEL, Provider, provider

LATENCY = 0.5
MOST_SHARE, MOST_MS, MOST_KIB = 0.05, 60.0, 64.0
"""Highest share of a small study's wall time; most milliseconds of a stored trial; most KiB that it adds to memory."""
PAIRS, TRIALS, WINDOW = 3, 1000, 300


def small_study(endpoint: Provider, **change: Any) -> Study:
    """A study of minimal size: one synthesis and four fine-tunings."""
    fields = {
        "name": "overhead",
        "tasks": ["sms_spam"],
        "modes": ["real", "zero_shot"],
        "generators": [{"model": MODEL, "api_base": endpoint.url, "price": {"input": 0, "output": 0}}],
        "classifiers": ["embedded/minilm-l6"],
        "seeds": [0, 1],
        "rows_per_label": 50,
        "test_rows": 200,
        "reference_rows": 0,
        "untrained": [],
        **change,
    }
    return Study(config=StudyConfig.model_validate(fields), folder=Path.cwd())


def bare(study: Study, settings: Settings) -> list[Trial]:
    """The work without Prefect and MLflow, as parallel as in the flow."""
    config, store = study.config, Store(settings.store_url)
    [task] = resolve(study)
    key = save_data(store, load(task, settings, config.pool_share, config.pool_rows_per_label))
    data = read_data(store, key)
    plan = make_plan(config, (data,), settings)
    [job] = plan.synthesis_jobs
    with ThreadPoolExecutor(config.syntheses) as generating, ThreadPoolExecutor(config.trainings) as training:
        writing = generating.submit(synthesize, job, data, settings, open_ledger(settings.home, "bare", None))
        real = training.submit(describe_real, data, config.rows_per_label, settings)
        running = [training.submit(_trial, job, data, settings) for job in plan.real_jobs]
        synthesis = writing.result()
        rows = read_rows(store, synthesis.key)[0]
        made = training.submit(describe_synthesis, rows, data, config.rows_per_label, settings)
        jobs = synthetic_jobs(config, data, key, synthesis)
        running += [training.submit(_trial, job, data, settings) for job in jobs]
    diversity, similarity = real.result()
    summary = replace(summarise(config, data), diversity=diversity, similarity=similarity)
    diversity, similarity = made.result()
    synthesis = replace(synthesis, diversity=diversity, similarity=similarity)
    trials = [trial.result() for trial in running]
    _report(config, summary, synthesis, trials, data, settings)
    return trials


def _report(
    config: StudyConfig, summary: TaskSummary, synthesis: Synthesis, trials: list[Trial], data: Any, settings: Settings
) -> None:
    store = Store(settings.store_url)
    results = Results(
        created="",
        config=config,
        tasks=[summary],
        cells=trials,
        syntheses=[synthesis],
        comparisons=compare(trials, store, config.tolerance),
        challenges=update_champions(trials, store),
        totals=total([synthesis], trials, Spent(), None),
    )
    results = analysed(results, AnalysisInputs(store, {summary.name: rater_agreement(data.test)}))
    publish.write(results, publish.report_html(results, settings), publish.folder_of(config.name, settings))


def _trial(job: TrialJob, data: Any, settings: Settings, **how: Any) -> Trial:
    rows = training_rows(job, data, Store(settings.store_url))
    return run_trial(job, settings, rows, test_sample(data, job.test_rows), **how)


def by_flow(study: Study, settings: Settings) -> Results:
    """The same work by the product's flow; returns its results."""
    from flows.study import run_flow

    data = load_tasks(study, settings)
    state = run_flow(make_plan(study.config, data, settings), data, study.folder, settings)
    results: Results = state.result()
    return results


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[None]:
    """A Prefect server for this process."""
    os.environ["PREFECT_HOME"] = str(folder / "prefect")
    os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"  # for the bare loop
    quiet_prefect()
    from prefect.logging.handlers import APILogHandler

    LOGGER.setLevel(logging.INFO)
    server = EphemeralServer(folder / "server.log")
    try:
        server.wait()
        with server.used():
            yield
            APILogHandler().flush()
    finally:
        server.stop()


class Homes:
    """New home folders with a migrated MLflow database."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        self._migrated = Settings(home=folder / "migrated")
        runs.prepare(self._migrated, "warm-up")

    def new(self, study: str) -> Settings:
        """A home folder with the study's experiment and an open database."""
        settings = Settings(home=self._folder / f"home-{next(self._numbers)}")
        settings.home.mkdir()
        shutil.copy(self._migrated.home / "mlflow.db", settings.home)
        runs.prepare(settings, study)
        return settings


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall seconds and CPU seconds, including those of servers and trainings."""
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return time.perf_counter() - wall, _cpu() - cpu


def _cpu() -> float:
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def share(homes: Homes, options: argparse.Namespace) -> Iterator[Figure]:
    """The flow compared with the bare loop."""
    with provider(latency=LATENCY) as endpoint:
        study, tiny = small_study(endpoint), small_study(endpoint, rows_per_label=5, test_rows=20, seeds=[0])
        kinds: dict[str, Callable[[Study, Settings], Any]] = {"bare": bare, "flow": by_flow}
        for work in kinds.values():
            work(tiny, homes.new(tiny.config.name))  # imports, worker processes, connections
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
        for number in range(options.pairs):
            for name in sorted(kinds, reverse=bool(number % 2)):  # alternately, so that neither is always first
                settings = homes.new(study.config.name)
                taken[name].append(timed(lambda work=kinds[name], place=settings: work(study, place)))
    walls = {name: [wall for wall, _ in times] for name, times in taken.items()}
    ratios = [flow / loop - 1 for flow, loop in zip(walls["flow"], walls["bare"], strict=True)]
    added = median(walls["flow"]) / median(walls["bare"]) - 1
    spent = {name: median(cpu for _, cpu in times) for name, times in taken.items()}
    value = f"{median(walls['flow']):.1f} against {median(walls['bare']):.1f} s: {added:+.1%}"
    yield Figure("small study: flow against bare loop", value, f"< {MOST_SHARE:.0%}", added < MOST_SHARE)
    yield Figure(f"  single pairs of {len(ratios)}", ", ".join(f"{ratio:+.1%}" for ratio in ratios))
    value = f"{spent['flow']:.1f} against {spent['bare']:.1f} s: {spent['flow'] / spent['bare'] - 1:+.1%}"
    yield Figure("  CPU, with Prefect's server", value)


class Marks(logging.Handler):
    """The time at which each trial ended, with this process's CPU time and memory at that time."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        self.bytes: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Record the end of a trial."""
        progress = getattr(record, "progress", None)
        if isinstance(progress, Progress) and progress.stage == "trial":
            self.seconds.append(time.perf_counter())
            self.cpu.append(time.process_time())
            self.bytes.append(psutil.Process().memory_info().rss)


@contextlib.contextmanager
def marking() -> Iterator[Marks]:
    """Marks of the trials that end within the block."""
    marks = Marks()
    LOGGER.addHandler(marks)
    try:
        yield marks
    finally:
        LOGGER.removeHandler(marks)


def guess(training: Training) -> np.ndarray:
    """Random probabilities, without a training."""
    drawn = np.random.default_rng(training.seed).random((len(training.test_texts), len(training.labels)))
    guessed: np.ndarray = drawn / drawn.sum(axis=1, keepdims=True)
    return guessed


def many(homes: Homes, options: argparse.Namespace) -> Iterator[Figure]:
    """Trials that are all in the store. Fine-tuned trials: a run that logs them, and a run that finds them logged.
    Probes, which have a common curve in MLflow: the same work without a run for each.
    """
    for classifier, kinds in (
        ("embedded/minilm-l6", ("fine-tuned, logged anew", "fine-tuned, logged before")),
        ("probe/embedded/minilm-l6", ("probes",)),
    ):
        changes = {"name": "many", "modes": ["real"], "seeds": list(range(options.trials)), "classifiers": [classifier]}
        with provider() as endpoint:
            study = small_study(endpoint, **changes, rows_per_label=5, test_rows=100)
        settings = homes.new(study.config.name)
        [task] = resolve(study)
        data = load(task, settings, study.config.pool_share, study.config.pool_rows_per_label)
        key = save_data(Store(settings.store_url), data)
        for job in real_jobs(study.config, data, key):
            _trial(job, data, settings, train=guess)
        for kind in kinds:
            with marking() as marks:
                results = by_flow(study, settings)
                ended = time.perf_counter()
            assert results.totals.cells_stored == len(marks.seconds) == options.trials
            yield from _trend(f"{options.trials} stored trials, {kind}", marks)
            yield Figure("  comparison, curve, report", f"{ended - marks.seconds[-1]:.1f} s after the last trial")


def _trend(name: str, marks: Marks) -> Iterator[Figure]:
    window = min(WINDOW, len(marks.seconds) // 3)
    whole = _per_trial(marks.seconds) * 1000
    early, late = (_per_trial(part) * 1000 for part in (marks.seconds[:window], marks.seconds[-window:]))
    value = f"{whole:.1f} ms a trial; first {window} {early:.1f}, last {window} {late:.1f}"
    yield Figure(name, value, f"< {MOST_MS:g} ms", whole < MOST_MS)
    yield Figure("  CPU of this process", f"{_per_trial(marks.cpu) * 1000:.1f} ms a trial")
    early, late = (_per_trial(part) / 1024 for part in (marks.bytes[:window], marks.bytes[-window:]))
    value = f"{early:+.0f} KiB a trial in the first {window}, {late:+.0f} in the last"
    yield Figure("  memory", value, f"< {MOST_KIB:g} KiB", late < MOST_KIB)


def _per_trial(values: Sequence[float]) -> float:
    return (values[-1] - values[0]) / (len(values) - 1)


def added(homes: Homes, options: argparse.Namespace) -> Iterator[Figure]:
    """One more generator."""
    with provider() as endpoint:
        first = {"model": MODEL, "api_base": endpoint.url, "price": {"input": 0, "output": 0}}
        other = {**first, "model": "openai/other-model", "completions": 2}  # else its texts would be the same
        small = {"name": "added", "classifiers": ["probe/embedded/minilm-l6"], "rows_per_label": 10, "test_rows": 40}
        settings = homes.new("added")
        by_flow(small_study(endpoint, **small), settings)
        before = endpoint.stats()["answered"]
        results = by_flow(small_study(endpoint, **small, generators=[first, other]), settings)
        asked = endpoint.stats()["answered"] - before
    new = [cell for cell in results.cells if not cell.cached]
    own = [cell for cell in results.cells if cell.arm.source and cell.arm.source.name == other["model"]]
    name = f"a generator more: cells run of {len(results.cells)}"
    yield Figure(name, f"{len(new)} run, {len(own)} are its own", "its own", new == own and len(own) == 2)
    written = [item.calls for item in results.syntheses if item.generator == other["model"]]
    yield Figure("  calls", f"{asked} asked, {sum(written)} are its own", "its own", asked == sum(written) > 0)


def main() -> int:
    """Run and print; the exit code is 1 if a limit was missed."""
    parts = {"share": share, "many": many, "added": added}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--pairs", type=int, default=PAIRS, help="repetitions of bare loop and flow")
    parser.add_argument("--trials", type=int, default=TRIALS)
    options = parser.parse_args()
    os.environ.setdefault("OPENAI_API_KEY", "none")
    missed = False
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)):
        homes = Homes(Path(folder))
        for name in options.only:
            for figure in parts[name](homes, options):
                print(figure, flush=True)
                missed = missed or figure.ok is False
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
