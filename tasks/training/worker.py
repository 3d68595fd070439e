"""Runs trainings in long-lived worker processes, one for each training slot.

torch's random state is global, so two trainings in one process would affect each other. The parent does not import
torch. If a child is killed because of memory, only one training fails. A worker is started by spawn, sees at most one
GPU, is reused for the next call, and ends with its parent, even if that is killed.
"""

import atexit
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from tasks.errors import RunError, UserError
from tasks.settings import Settings
from tasks.training.devices import VISIBLE, Claim, claim, visible_gpus

R = TypeVar("R")

LAUNCHER = {"LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"}
LAUNCHER |= {"PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"}
"""Variables that torchrun and MPI set for distributed training: with them transformers would wait for other processes.
Variables ``ACCELERATE_...`` of ``accelerate launch`` also change the precision and the device."""

_context = multiprocessing.get_context("spawn")


class _Worker:
    """A child process that runs one call at a time."""

    def __init__(self, gpu: Claim | None, early: Callable[[], None] | None = None) -> None:
        self.gpu = gpu
        self.pipe, theirs = _context.Pipe()
        arguments = (theirs, gpu.device if gpu else None, early)
        self.process = _context.Process(target=_serve, args=arguments, daemon=True, name="synthgap-training")
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
        if self.gpu:
            self.gpu.release()


class Pool:
    """The workers of this process, as many as the most calls that ran at the same time."""

    def __init__(self, choose: Callable[[], Claim | None]) -> None:
        """``choose`` claims a GPU for a new worker; if it returns null, the worker sees the GPUs of this process."""
        self._choose = choose
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """Call ``function(*arguments)`` in a worker process; function, arguments and result must be picklable.

        Raises a ``UserError`` or ``RunError`` of the function unchanged; ``RunError`` for any other exception (its
        traceback is written to stderr) and if the process dies.
        """
        with self._lock:
            worker = self._next()
        try:
            result = worker.run(function, arguments)
        except (UserError, RunError):
            self._keep(worker)
            raise
        except BaseException:
            worker.stop()  # interrupted during the call: the next call would receive this call's result
            raise
        self._keep(worker)
        return result

    def start(self, early: Callable[[], None]) -> None:
        """Start a worker that runs ``early`` before its first call, unless a worker is idle already."""
        with self._lock:
            if not self._idle:
                self._idle.append(_Worker(self._choose(), early))

    def _next(self) -> _Worker:
        if not self._idle:
            return _Worker(self._choose())
        worker = min(self._idle, key=lambda idle: idle.gpu.place if idle.gpu else 0)  # fewest on its GPU
        self._idle.remove(worker)
        return worker

    def _keep(self, worker: _Worker) -> None:
        if not worker.process.is_alive():
            worker.stop()
            return
        with self._lock:
            self._idle.append(worker)

    def stop(self) -> None:
        """Stop all idle workers; the next call starts a new one."""
        with self._lock:
            while self._idle:
                self._idle.pop().stop()


_pool = Pool(lambda: claim(visible_gpus(), Settings().home / "gpus"))
call = _pool.call
start = _pool.start
stop_workers = _pool.stop
atexit.register(stop_workers)


def _serve(pipe: Connection, gpu: str | None, early: Callable[[], None] | None) -> None:
    """The main function of a worker: answers calls until the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches the whole group: end at once, without a traceback
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the parent's stdout may be a --json document
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait actively take CPU time from other processes
    for name in [name for name in os.environ if name in LAUNCHER or name.startswith("ACCELERATE_")]:
        del os.environ[name]
    if gpu is not None:
        os.environ[VISIBLE] = gpu  # before the import of torch, which reads it once
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if early:
        with suppress(Exception):  # the call that needs it will raise the error again
            early()
    with suppress(AttributeError, OSError):  # optional: some systems lack it or do not allow it
        os.nice(15)  # an embedded LLM has priority, because the next trainings need its rows
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
    except Exception as error:  # a failed training is recorded as a failure of its cell; the worker continues
        logging.getLogger(__name__).exception("a training failed")
        return True, RunError(f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
