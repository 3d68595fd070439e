"""Trainings run in long-lived worker processes, one a training slot.

torch's random state is global, so two trainings in one process would disturb each other; the parent stays free of
torch; and a child killed for memory fails one training only. A worker is started by spawn, kept for the next call,
and ends with its parent, however that ends.
"""

import atexit
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from tasks.errors import RunError, UserError

R = TypeVar("R")

_context = multiprocessing.get_context("spawn")
_lock = threading.Lock()
_idle: list["_Worker"] = []


class _Worker:
    """A child process that runs one call at a time."""

    def __init__(self) -> None:
        self.pipe, theirs = _context.Pipe()
        self.process = _context.Process(target=_serve, args=(theirs,), daemon=True, name="synthgap-training")
        self.process.start()
        theirs.close()

    def run(self, function: Callable[..., R], arguments: tuple[Any, ...]) -> R:
        try:
            self.pipe.send((function, arguments))
            failed, value = self.pipe.recv()
        except (EOFError, OSError):
            raise RunError(self._obituary()) from None
        if failed:
            raise value
        result: R = value
        return result

    def _obituary(self) -> str:
        self.process.join(10)
        code = self.process.exitcode
        if code == -signal.SIGKILL:
            return "the training process was killed (signal 9), probably for want of memory; try a smaller batch_size"
        how = f"signal {-code}" if code and code < 0 else f"exit code {code}"
        return f"the training process ended early ({how})"

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()


def call(function: Callable[..., R], *arguments: Any) -> R:
    """``function(*arguments)`` in a worker process; both must pickle.

    As many workers are alive as there are calls at once. Raises what the function raises when it is a ``UserError`` or
    ``RunError``; ``RunError`` for anything else (its traceback goes to stderr) and when the process dies.
    """
    with _lock:
        worker = _idle.pop() if _idle else _Worker()
    try:
        result = worker.run(function, arguments)
    except (UserError, RunError):
        _keep(worker)
        raise
    except BaseException:
        worker.stop()  # interrupted in mid-call: its answer would meet the next question
        raise
    _keep(worker)
    return result


def _keep(worker: _Worker) -> None:
    if worker.process.is_alive():
        with _lock:
            _idle.append(worker)


def stop_workers() -> None:
    """End all idle workers; the next call starts a fresh one."""
    with _lock:
        while _idle:
            _idle.pop().stop()


atexit.register(stop_workers)


def _serve(pipe: Connection) -> None:
    """The child's life: answer calls until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches the whole group: end at once, without a traceback
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the parent's stdout may be a --json document
    os.nice(15)  # an embedded LLM beside it shall keep its core: what is written is trained on next
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve each other on a busy machine
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_answer(function, arguments))


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return False, function(*arguments)
    except (UserError, RunError) as error:
        return True, error
    except Exception as error:  # a failed training is a recorded failure of its cell; the worker lives on
        logging.getLogger(__name__).exception("a training failed")
        return True, RunError(f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
