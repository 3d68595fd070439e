"""Runs a study from the command line, with its progress on stderr and with or without a configured Prefect server."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from flows.launch import launch
from flows.operations.environment import use_prefect_home
from flows.operations.ephemeral_server import EphemeralServer, prefect_server
from flows.operations.state import UpState, is_running, use_running
from tasks.config import Study
from tasks.planning.plan import Plan
from tasks.progress import LOGGER, Progress
from tasks.records import TaskData
from tasks.reporting import publish, terminal
from tasks.reporting.results import Results
from tasks.reporting.unchanged import unchanged_results
from tasks.settings import Settings
from tasks.startup import importing
from tasks.training import encoders, worker

KEPT = "all answers that arrived are kept, calls in flight are made again"
"""What happens to the calls of a run that ends at once."""
LOOK_S = 0.5
"""Seconds between two checks whether the `synthgap up` of the run's servers still runs."""


def run_study(study: Study, out: Path | None, quiet: bool, again: bool = False) -> Results:
    """Run a study and return its results. Without ``again``, the last results are shown if a run would find the same.

    Raises ``UserError`` before anything is started if the study cannot be run, ``RunError`` if it is already running or
    failed.
    """
    up = use_running(Settings())

    def run(plan: Plan, data: Sequence[TaskData], settings: Settings) -> Results:
        found = None if again else unchanged_results(plan, data, settings)
        results = found or _run_flow(plan, data, study.folder, settings, up)
        report = publish.folder_of(plan.study.name, settings) / publish.REPORT
        report = publish.copy(plan.study.name, settings, out) if out else report
        if not quiet:
            publish.show(results, report)
        if found:
            print(
                f"Nothing has changed since these results were made ({found.created}), so nothing was run; "
                "`synthgap run --again` runs the study anyway",
                file=sys.stderr,
            )
        return results

    return launch(study, Settings(), run)  # new settings: ``use_running`` may have set a server


def _run_flow(plan: Plan, data: Sequence[TaskData], folder: Path, settings: Settings, up: UpState | None) -> Results:
    """Run a planned study as a Prefect flow: on the server of ``up``, on another configured one, or on its own."""
    use_prefect_home(settings)
    quiet_prefect()
    if settings.runner == "threads" and not all(planned.stored for planned in plan.trials):
        worker.start(encoders.prepare)  # imports torch while this process imports Prefect
    with prefect_server(settings.home / "prefect-server.log") as server, _display(plan):
        with importing():
            from flows.study import run_flow
            from tasks.tracking import runs

            runs.prepare(settings, plan.study.name)
        if up:
            threading.Thread(target=_end_with, args=(up, settings), daemon=True).start()
        if server:
            server.wait()
            server.keep()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, partial(_end_on_signal, server))
        results: Results | BaseException = run_flow(plan, data, folder, settings).result(raise_on_failure=False)
    if isinstance(results, BaseException):
        raise results
    return results


@contextmanager
def _display(plan: Plan) -> Iterator[None]:
    """Shows the log records of the stages in the live display while the flow runs."""
    with terminal.Display(plan) as display:
        handler = _ToDisplay(display)
        LOGGER.addHandler(handler)
        try:
            yield
        finally:
            LOGGER.removeHandler(handler)


class _ToDisplay(logging.Handler):
    def __init__(self, display: terminal.Display) -> None:
        super().__init__()
        self.display = display

    def emit(self, record: logging.LogRecord) -> None:
        progress = getattr(record, "progress", None)
        if isinstance(progress, Progress):
            self.display.update(progress)
        elif record.levelno >= logging.WARNING:
            self.display.message(record.getMessage())


def quiet_prefect() -> None:
    """Set Prefect's environment variables. It reads them once, when it is imported."""
    for name, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLIENT_MAX_RETRIES": "6",  # two minutes in all; a server restarts in less
        "PREFECT_LOGGING_EXTRA_LOGGERS": LOGGER.name,  # stage logs show in Prefect's UI
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the terminal has the display instead
        "DO_NOT_TRACK": "1",
    }.items():
        os.environ.setdefault(name, value)


def _end_on_signal(server: EphemeralServer | None, number: int, frame: object) -> NoReturn:
    _leave("interrupted", 128 + number, server)


def _end_with(up: UpState, settings: Settings) -> None:
    """End the process when the ``up`` of its servers ends, because further calls would wait for them for nothing."""
    wait_until_ended(lambda: is_running(up, settings))
    _leave("`synthgap up`, whose servers this run used, was ended", 1)


def wait_until_ended(running: Callable[[], bool], pause: float = LOOK_S) -> None:
    """Return when two checks in a row find nothing running. A single check may read the file while it is replaced."""
    missed = 0
    while missed < 2:
        missed = 0 if running() else missed + 1
        time.sleep(pause)


def _leave(why: str, code: int, server: EphemeralServer | None = None) -> NoReturn:
    """End the process without waiting for calls and trainings. The journal has every completed call."""
    sys.stderr.write(f"\nsynthgap: {why}; {KEPT}; run the study again to continue\n")
    sys.stderr.flush()
    if server:
        server.stop()
    os._exit(code)
