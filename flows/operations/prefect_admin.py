"""Prepares the work pool on a Prefect server, and queues and lists runs.

All functions can be repeated at any time. They use the server of Prefect's settings.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments.runner import DeploymentApplyError
from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.states import AwaitingRetry, Crashed

from flows.operations.deployments import POOL
from tasks.errors import RunError

ATTEMPTS = 5
"""Starts of a run whose process died each time, after which it is not started again: the run is probably the cause."""
TEMPLATE = Path(__file__).parents[2] / "deployments" / "pools" / "process.json"
"""Job template of the pool. It has no variables, so that the start of a run cannot change command or environment."""


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the exceptions of Prefect's client into one ``RunError`` that names the server."""
    try:
        yield
    except (PrefectHTTPStatusError, httpx.HTTPError, DeploymentApplyError) as error:
        reason = str(error).partition(" for url")[0] or type(error).__name__
        hint = "; set PREFECT_API_AUTH_STRING to its user:password" if "401" in reason else ""
        raise RunError(f"Prefect at {PREFECT_API_URL.value()!r}: {reason}{hint}") from error


def prepare_pool(studies_at_once: int) -> None:
    """Create or update the work pool, which runs ``studies_at_once`` studies at a time; other runs wait in its queue.

    An existing pool also gets our template, because the template of an older version accepted a command. Raises
    ``RunError`` if the existing pool is not of type ``process``.
    """
    settings: dict[str, Any] = {
        "concurrency_limit": studies_at_once,
        "base_job_template": json.loads(TEMPLATE.read_text(encoding="utf-8")),
    }
    with get_client(sync_client=True) as client:
        try:
            about = "Studies, each in a process of its own. Made by `synthgap up`."
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", description=about, **settings))
        except ObjectAlreadyExists:
            if (kind := client.read_work_pool(POOL).type) != "process":
                raise RunError(
                    f"work pool {POOL!r} on {PREFECT_API_URL.value()!r} is of type {kind!r}, but `synthgap up` needs "
                    "type 'process'; delete that pool, or use another Prefect server"
                ) from None
            client.update_work_pool(POOL, WorkPoolUpdate(**settings))


def requeue_orphans(worker: str) -> list[str]:
    """Queue the runs again that were pending or running when ``worker`` ended; returns their names.

    This is safe because a study does not repeat finished work. If another worker of the pool is online, the runs may
    belong to it, so nothing is queued here and the automation handles dead runs. A run whose process died ``ATTEMPTS``
    times is marked as Crashed.
    """
    queued: list[str] = []
    if any(item["name"] != worker and item["status"] == "ONLINE" for item in _workers()):
        return queued
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [POOL]}}),
        ):
            if run.run_count >= ATTEMPTS:
                message = f"its process died {run.run_count} times, so it is not started again; see the worker's log"
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            else:
                client.set_flow_run_state(run.id, AwaitingRetry(message="its process died"), force=True)
                queued.append(run.name)
    return queued


def last_heartbeat() -> str | None:
    """When a worker of the pool last sent a heartbeat, by the server's clock; null if none has sent one."""
    return max((item["last_heartbeat_time"] for item in _workers() if item["last_heartbeat_time"]), default=None)


def _workers() -> list[dict[str, Any]]:
    with get_client(sync_client=True) as client:
        workers: list[dict[str, Any]] = client.request(
            "POST", "/work_pools/{work_pool_name}/workers/filter", path_params={"work_pool_name": POOL}, json={}
        ).json()
    return workers


def last_runs(count: int) -> list[FlowRun]:
    """The last ``count`` runs, newest first."""
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=count)
