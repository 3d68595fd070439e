"""Runs a study from the command line: one at a time, with its progress on stderr, on any Prefect server or none."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from flows.operations.environment import use_prefect_home
from flows.operations.ephemeral_server import Server, prefect_server
from flows.operations.state import UpState, is_running, use_running
from tasks.config import Study
from tasks.errors import FULL, RunError, UserError
from tasks.llm.prices import counted_price
from tasks.locks import only_run_of
from tasks.planning.make import plan_study
from tasks.planning.plan import Plan
from tasks.progress import LOGGER, Progress
from tasks.reporting import publish, terminal
from tasks.settings import Settings, shared_files
from tasks.store import check_places

KEPT = "every answer that arrived is kept, calls that were on their way are asked again"
"""What becomes of a run's calls when it ends at once."""
LOOK_S = 0.5
"""Seconds between two looks whether the servers that a run uses are still to be there."""


def run_study(study: Study, out: Path | None, quiet: bool) -> dict[str, Any]:
    """Run a study to its results (the object of results.json).

    Raises ``UserError`` before anything is started when the study cannot be run, ``RunError`` when it is running
    already or broke off.
    """
    up = use_running(Settings())
    settings = Settings()  # anew: it may log to the server that was found
    check_places(settings)
    with only_run_of(study.config.name, settings):
        plan = plan_study(study, settings)
        check_generators(plan)
        use_prefect_home(settings)
        quiet_prefect()
        with (
            clear_faults(settings),
            prefect_server(settings.home / "prefect-server.log") as server,
            _display(plan.as_dict()),
        ):
            if up:
                threading.Thread(target=_end_with, args=(up, settings), daemon=True).start()
            results = _run_flow(study, server)
        html = publish.folder_of(study.config.name, settings) / publish.REPORT
        if out:
            with shared_files():
                html = publish.write(results, html.read_text(encoding="utf-8"), out)
    if not quiet:
        publish.show(results, html)
    return results


def check_generators(plan: Plan) -> None:
    """A missing key or an unknown provider, of any LLM that is to be called, shows before anything is started.

    Raises ``RunError``, and ``UserError`` for a key that may not go where it would, or a model that the operator's cap
    cannot hold.
    """
    if plan.asked:
        from tasks.llm import gateway

        settings = Settings()
        for generator in plan.asked:
            counted_price(generator, settings.most_usd, settings.most_tokens)
            gateway.prepare(generator)


@contextmanager
def clear_faults(settings: Settings) -> Iterator[None]:
    """Turn a full disk and a Prefect server that is gone into one ``RunError``, wherever they are met."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        place = error.filename or settings.home
        raise RunError(
            f"cannot write {str(place)!r}: {error.strerror}; free some space, then run again: what is finished stays"
        ) from error
    except (UserError, RunError):
        raise
    except Exception:
        from flows.operations import prefect_admin  # imports much of Prefect

        with prefect_admin.clear_errors():
            raise


@contextmanager
def _display(plan: dict[str, Any]) -> Iterator[None]:
    """Feeds the live display from the log records of the stages, for as long as the flow runs."""
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
    """Prefect reads its environment once, when it is first imported."""
    for name, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLIENT_MAX_RETRIES": "6",  # two minutes, doubling from two seconds: a server is back sooner
        "PREFECT_LOGGING_EXTRA_LOGGERS": LOGGER.name,  # stage logs show in Prefect's UI
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the terminal has our display instead
        "DO_NOT_TRACK": "1",
    }.items():
        os.environ.setdefault(name, value)


def _run_flow(study: Study, server: Server | None) -> dict[str, Any]:
    from prefect.client.schemas.objects import State

    from flows.study import study as study_flow

    if server:
        server.wait()
        server.keep()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_stop_at_once, server))
    state: State[Any] = study_flow(study.config, study.folder, return_state=True)
    results: dict[str, Any] | BaseException = state.result(raise_on_failure=False)
    if isinstance(results, BaseException):
        raise results
    return results


def _stop_at_once(server: Server | None, number: int, frame: object) -> NoReturn:
    _leave("interrupted", 128 + number, server)


def _end_with(up: UpState, settings: Settings) -> None:
    """End when the ``up`` whose servers this run uses does: every further call would wait for them in vain."""
    wait_until_ended(lambda: is_running(up, settings))
    _leave("`synthgap up`, whose servers this run used, was ended", 1)


def wait_until_ended(running: Callable[[], bool], pause: float = LOOK_S) -> None:
    """Return when two looks in a row find nothing running: one alone may have met the file while it was replaced."""
    missed = 0
    while missed < 2:
        missed = 0 if running() else missed + 1
        time.sleep(pause)


def _leave(why: str, code: int, server: Server | None = None) -> NoReturn:
    """End without waiting for calls and trainings in flight: the journal has every completed call."""
    sys.stderr.write(f"\nsynthgap: {why}; {KEPT}; run the study again to go on\n")
    sys.stderr.flush()
    if server:
        server.stop()
    os._exit(code)
