"""What Prefect shows of a running study: its log, its progress and links. An error here never fails or delays a study.

Stages report their progress by log records (``tasks.progress``). Prefect's log gets the records of finished and failed
stages, but not those of single steps. The progress of a study is an artifact. A separate thread updates it, because all
LLM calls share one event loop, and that loop must not wait for a server.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from functools import partial
from typing import NamedTuple, cast
from uuid import UUID

from prefect import runtime
from prefect.artifacts import create_link_artifact, create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.context import get_run_context
from prefect.exceptions import MissingContextError
from prefect.states import Running

from tasks.planning.plan import Plan
from tasks.progress import LOGGER, Progress, announce
from tasks.reporting.publish import artifact_key

FASTEST_S, SLOWEST_S = 2.0, 60.0
"""Bounds of the seconds between two updates of an artifact, which are a tenth of its age."""
FOUND_DEAD_S = 30.0
"""Seconds between two checks whether Prefect has marked this run as crashed."""


class Share(NamedTuple):
    """Progress of one thing."""

    percent: float
    words: str


@contextmanager
def run_log() -> Iterator[None]:
    """Send records to the log of the current flow run, also those of threads that belong to no stage.

    Records of steps go to the handlers of the logger ``synthgap`` only (the terminal, ``Tally``). The handlers of the
    root logger would print each of them.
    """
    log_filter, before = RunLogFilter(runtime.flow_run.id), (LOGGER.level, LOGGER.propagate)
    LOGGER.addFilter(log_filter)
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeFilter(log_filter)
        LOGGER.setLevel(before[0])
        LOGGER.propagate = before[1]


class RunLogFilter(logging.Filter):
    """Keeps records of steps from Prefect, one for each row, and adds the flow run to records that have none."""

    def __init__(self, flow_run_id: str | None) -> None:
        super().__init__()
        self._flow_run_id = flow_run_id

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the fields that Prefect's handler reads. All records pass."""
        if record.levelno < logging.INFO:
            record.send_to_api = False
        try:
            get_run_context()
        except MissingContextError:  # the event loop of LLM calls
            record.flow_run_id = self._flow_run_id
        return True


@contextmanager
def shown_alive() -> Iterator[None]:
    """Set the current flow run back to Running when Prefect marks it as crashed although it still runs.

    A machine that sleeps sends no heartbeats; when it wakes, the server may notice the missing ones before new ones
    arrive.
    """
    # wait for the thread: a late check could set the run back to Running after it has ended
    with _beside("alive", partial(_stay_alive, UUID(runtime.flow_run.id)), wait=True):
        yield


@contextmanager
def study_progress(plan: Plan) -> Iterator[None]:
    """A progress artifact of the whole grid, on the page of the flow run."""
    tally = Tally(syntheses=len(plan.syntheses), trials=len(plan.cells))
    LOGGER.info("%s, %d LLM calls to make", tally.share().words, plan.totals.calls)
    LOGGER.addHandler(tally)
    try:
        with _followed(tally.share, artifact_key(f"{plan.study.name}-progress")):
            yield
    finally:
        LOGGER.removeHandler(tally)


class Tally(logging.Handler):
    """Counts finished syntheses and trials. A running one counts as the finished part of it."""

    def __init__(self, syntheses: int, trials: int) -> None:
        super().__init__()
        self._planned = {"syntheses": syntheses, "trials": trials}
        self._seen: dict[str, dict[str, Progress]] = {"syntheses": {}, "trials": {}}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the newest progress of a stage."""
        step = getattr(record, "progress", None)
        kinds = {"synthesize": "syntheses", "trial": "trials", "classify": "trials"}
        if isinstance(step, Progress) and step.stage in kinds:
            self._seen[kinds[step.stage]][step.name] = step

    def share(self) -> Share:
        """The finished part of the planned work. A synthesis with too few rows adds a trial that is not in the plan."""
        steps = {kind: list(seen.values()) for kind, seen in self._seen.items()}
        totals = {kind: max(planned, len(steps[kind])) for kind, planned in self._planned.items()}
        done = sum(_part(step) for found in steps.values() for step in found)
        counts = [f"{sum(step.finished for step in steps[kind])} of {totals[kind]} {kind}" for kind in steps]
        failed = sum(step.failed for found in steps.values() for step in found)
        words = ", ".join([*counts, *([f"{failed} failed"] if failed else [])])
        return Share(_percent(done, sum(totals.values())), words)


@contextmanager
def synthesis_progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """A progress artifact of the synthesis in this stage. Yields the function that reports its steps."""
    steps = Steps(name)
    with _followed(steps.share, None):
        yield steps.report


class Steps:
    """The newest step of one synthesis."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last: Progress | None = None

    def report(self, step: Progress) -> None:
        """Log a step and keep it."""
        announce(step)
        self._last = step

    def share(self) -> Share:
        """The kept part of the requested rows."""
        step = self._last
        if step is None:
            return Share(0, f"{self._name}: starting")
        rows = f"{step.done} of {step.total} rows kept"
        words = "failed" if step.failed else "done" if step.finished else rows
        return Share(_percent(_part(step), 1), f"{self._name}: {words}" + (f" ({step.note})" if step.note else ""))


def show_link(page: str | None, name: str, words: str) -> None:
    """Add a link artifact to the current run, if there is a page to link to."""
    if page:
        with _never_failing():
            create_link_artifact(page, name, description=words)


@contextmanager
def _followed(share: Callable[[], Share], key: str | None) -> Iterator[None]:
    """A progress artifact of the current run, which is updated from ``share`` until the block ends."""
    shown = share()
    artifact: UUID | None = None
    with _never_failing():
        artifact = cast(
            UUID, create_progress_artifact(shown.percent, key, shown.words)
        )  # the annotation also allows a coroutine
    with _beside("progress", partial(_follow, artifact, share, shown)) if artifact else nullcontext():
        yield


def _follow(artifact: UUID, share: Callable[[], Share], shown: Share, ended: threading.Event) -> None:
    age = 0.0
    while not ended.is_set():
        pace = min(max(age / 10, FASTEST_S), SLOWEST_S)
        ended.wait(pace)
        age += pace
        now = share()
        if now != shown:
            with _never_failing():
                update_progress_artifact(artifact, now.percent, now.words)
                shown = now


def _stay_alive(run: UUID, ended: threading.Event) -> None:
    while not ended.wait(FOUND_DEAD_S):
        with _never_failing(), get_client(sync_client=True) as client:
            state = client.read_flow_run(run).state
            if state and state.is_crashed():
                client.set_flow_run_state(run, Running(message="the run goes on: its machine was asleep"), force=True)
                LOGGER.warning(
                    "Prefect marked this run as crashed while it was still running; it is shown as running again"
                )


@contextmanager
def _beside(name: str, work: Callable[[threading.Event], None], wait: bool = False) -> Iterator[None]:
    """Run ``work`` in a thread until the block ends, which sets its event. ``wait`` joins the thread."""
    ended = threading.Event()
    work_here = partial(copy_context().run, work, ended)  # the context has the address of the server
    thread = threading.Thread(target=work_here, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        if wait:
            thread.join()


@contextmanager
def _never_failing() -> Iterator[None]:
    """Log errors instead of raising them: without a server, a study lacks a progress bar or a link and goes on."""
    try:
        yield
    except Exception as error:
        LOGGER.debug("not shown in Prefect: %s", error)


def _part(step: Progress) -> float:
    return 1.0 if step.finished else step.done / step.total


def _percent(done: float, total: float) -> float:
    return round(100 * done / total, 1) if total else 100.0
