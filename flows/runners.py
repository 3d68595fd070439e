"""Where trainings run: threads of this process, or a Dask or Ray cluster, chosen by one setting.

Only trainings and measures of texts go to a cluster. LLM calls stay in this process: one throttle adapts to each
provider's limit, and the journal is a local file. A worker gets records and keys, and reads rows from the store.
"""

import multiprocessing
import os
import signal
import socket
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from prefect import Task
from prefect.futures import PrefectConcurrentFuture, PrefectFuture
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tasks.errors import RunError, UserError
from tasks.settings import Settings
from tasks.store import Store
from tasks.tracking import runs

ANSWER_S = 10.0
"""Seconds that Prefect may take to answer a worker."""


@dataclass(frozen=True)
class Trainers:
    """A started task runner."""

    runner: TaskRunner[Any]
    at_once: int
    """Trainings that share the cores of one machine."""
    remote: bool
    """Stages run in other processes: their log records do not reach this one."""

    def submit(self, stage: Task[..., Any], fields: dict[str, Any], *after: PrefectFuture[Any]) -> PrefectFuture[Any]:
        """Start a stage after the futures ``after`` have ended.

        A cluster cannot wait for futures of this process's threads: those must have ended already.
        """
        awaited = [item for item in after if not (self.remote and isinstance(item, PrefectConcurrentFuture))]
        future: PrefectFuture[Any] = self.runner.submit(stage, fields, wait_for=awaited)
        return future


@contextmanager
def trainers(settings: Settings, run: runs.StudyRun, data_key: str, trainings: int) -> Iterator[Trainers]:
    """The runner of the settings, started; a study trains ``trainings`` cells at a time on a machine.

    Raises ``UserError`` if its package is not installed, ``RunError`` if the cluster does not answer, or if a worker
    cannot reach the store (by the key of real rows), the MLflow run or Prefect.
    """
    api = PREFECT_API_URL.value()
    with STARTS[settings.runner](settings.runner_address, trainings, (settings, run, data_key, api)) as started:
        yield started


@contextmanager
def _threads(address: str | None, trainings: int, seen: tuple[Any, ...]) -> Iterator[Trainers]:
    if address:
        raise UserError(f"SYNTHGAP_RUNNER_ADDRESS={address!r} needs SYNTHGAP_RUNNER=dask or SYNTHGAP_RUNNER=ray")
    with ThreadPoolTaskRunner[Any](max_workers=trainings) as runner:
        yield Trainers(runner, trainings, remote=False)


@contextmanager
def _dask(address: str | None, trainings: int, seen: tuple[Any, ...]) -> Iterator[Trainers]:
    try:
        import dask
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise _missing("dask", error) from None
    # Trainings are child processes of workers. Daemons cannot have children, and Dask does not count their memory.
    dask.config.set({"distributed.worker.daemon": False})
    local = {"n_workers": trainings, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}
    with ExitStack() as stack:
        with _reached("Dask", address):
            runner = DaskTaskRunner(address=address) if address else DaskTaskRunner(cluster_kwargs=local)
            stack.enter_context(runner)
            workers = runner.client.scheduler_info(n_workers=-1)["workers"].values()
            answers = runner.client.run(complaint, *seen)
        _check("Dask", address, answers)
        slots = Counter[str]()
        for worker in workers:
            slots[worker["host"]] += worker["nthreads"]
        yield Trainers(runner, max(slots.values()), remote=True)


@contextmanager
def _ray(address: str | None, trainings: int, seen: tuple[Any, ...]) -> Iterator[Trainers]:
    try:
        import ray
        from prefect_ray import RayTaskRunner
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
    except ImportError as error:
        raise _missing("ray", error) from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = {"num_cpus": trainings, "include_dashboard": False}
    quiet = {"log_to_driver": False, "configure_logging": False}  # stdout may be a --json document
    with ExitStack() as stack:
        with _reached("Ray", address):
            runner = RayTaskRunner(address, quiet) if address else RayTaskRunner("local", {**quiet, **local})
            ending = signal.getsignal(signal.SIGTERM)
            stack.enter_context(runner)
            signal.signal(signal.SIGTERM, ending)  # Ray replaces the handler
            nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
            asked = {
                node["NodeManagerAddress"]: ray.remote(complaint)
                .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
                .remote(*seen)
                for node in nodes
            }
            answers = dict(zip(asked, ray.get(list(asked.values())), strict=True))
        _check("Ray", address, answers)
        slots = Counter[str]()
        for node in nodes:
            slots[node["NodeManagerAddress"]] += int(node["Resources"]["CPU"])
        yield Trainers(runner, max(slots.values()), remote=True)


STARTS: dict[str, Callable[..., Any]] = {"threads": _threads, "dask": _dask, "ray": _ray}


def complaint(settings: Settings, run: runs.StudyRun, data_key: str, api: str) -> str:
    """Why this process, a worker of a cluster, cannot train for a study; empty if it can."""
    if multiprocessing.current_process().daemon:
        return (
            "it is a daemon, which may not start a training process; "
            "start it with --no-nanny or with DASK_DISTRIBUTED__WORKER__DAEMON=False"
        )
    try:
        store = Store(settings.store_url)
        if store.get("data", data_key) is None:
            return f"the store {store.url!r} is another one there; set SYNTHGAP_STORE to one that both reach"
        runs.check_run(settings, run)
        with urllib.request.urlopen(f"{api}/health", timeout=ANSWER_S):
            return ""
    except RunError as error:
        return str(error)
    except OSError as error:
        return f"Prefect at {api!r} does not answer it ({error}); set PREFECT_API_URL to a server that it can reach"


def _check(kind: str, address: str | None, answers: dict[str, str]) -> None:
    if not answers:
        raise RunError(f"{kind} at {address!r} has no workers; start some, then run again")
    for worker, text in answers.items():
        if text:
            raise RunError(f"{kind} worker {worker} cannot train: {text}")


@contextmanager
def _reached(kind: str, address: str | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # time-outs, refused connections, a worker without synthgap
        place = f"at {address!r}" if address else f"on {socket.gethostname()}"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RunError(f"{kind} {place} cannot be used: {type(error).__name__}: {lines[0]}") from error


def _missing(name: str, error: ImportError) -> UserError:
    return UserError(
        f"SYNTHGAP_RUNNER={name} needs a package that is not installed ({error}): pip install synthgap[{name}]"
    )
