"""A run of a worker that is told to end: it ends at once, as `synthgap run` does.

Prefect raises in the main thread, then waits for every thread, and a synthesis may take hours. Nothing is lost by not
waiting: the journal has every completed call, the store every finished trial.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from prefect import runtime
from prefect.exceptions import TerminationSignal

from tasks.errors import RunError
from tasks.settings import Settings
from tasks.tracking import runs

GRACE_S = 5.0
"""Seconds for Prefect's own ending, where its threads happen to be idle."""
CODE = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM ended."""


@contextlib.contextmanager
def ending_at_once(run: runs.StudyRun, settings: Settings) -> Iterator[None]:
    """To be entered after whatever waits for threads when left. Other processes than a worker's are left alone."""
    try:
        yield
    except BaseException as error:
        told = _signal_in(error)
        if told is None:
            raise
        if runtime.deployment.id:
            deadline = threading.Timer(GRACE_S, os._exit, [CODE])
            deadline.daemon = True
            deadline.start()
            with contextlib.suppress(RunError):
                runs.fail_study(settings, run.run_id, "interrupted; the next run goes on where it stopped")
        raise told from None


def _signal_in(error: BaseException | None) -> TerminationSignal | KeyboardInterrupt | None:
    """What a signal raised: as it is, or wrapped by the library whose code it met. Prefect knows only the former."""
    while error is not None and not isinstance(error, TerminationSignal | KeyboardInterrupt):
        error = error.__cause__
    return error
