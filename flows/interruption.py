"""Ends a worker's run at once when it gets SIGTERM or is cancelled, as `synthgap run` ends at Ctrl-C.

Prefect raises an exception in the main thread and then waits for all threads, but a synthesis may take hours. Without
the wait nothing is lost: the journal has every completed call, and the store has every finished trial.
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
"""Seconds in which Prefect may end the run itself. It does so if no thread is busy."""
CODE = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM ended."""


@contextlib.contextmanager
def ending_at_once(run: runs.StudyRun, settings: Settings) -> Iterator[None]:
    """Ends the process ``GRACE_S`` after a signal, if a worker started it.

    It must be the innermost context: leaving an outer one may wait for threads.
    """
    try:
        yield
    except BaseException as error:
        interruption = _interruption_in(error)
        if interruption is None:
            raise
        if runtime.deployment.id:
            deadline = threading.Timer(GRACE_S, os._exit, [CODE])
            deadline.daemon = True
            deadline.start()
            with contextlib.suppress(RunError):
                runs.fail_study(settings, run.run_id, "interrupted; the next run continues where this one stopped")
        raise interruption from None


def _interruption_in(error: BaseException | None) -> TerminationSignal | KeyboardInterrupt | None:
    """The exception that a signal raised. A library may have wrapped it, and Prefect would not recognise that one."""
    while error is not None and not isinstance(error, TerminationSignal | KeyboardInterrupt):
        error = error.__cause__
    return error
