"""What a Prefect server must hold for synthgap: the work pool, the automation against dead runs, no orphaned runs.

Everything here may be done again at any time. It talks to the server that Prefect's settings name.
"""

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments.runner import DeploymentApplyError
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.states import AwaitingRetry, Crashed

from flows.operations.deployments import POOL
from tasks.errors import RunError

SILENCE_S = 540
"""A run counts as dead after so many seconds without a heartbeat: three of Prefect's default of 180 s, because a
healthy run that was found dead would be paid for twice."""
ATTEMPTS = 5
"""So often is a run started before a run that dies is left alone: then it is the run that kills its process."""
TEMPLATE = Path(__file__).parents[2] / "deployments" / "pools" / "process.json"
"""What a run may say about its process: nothing. Neither its command nor its environment is the caller's to choose."""
ZOMBIES = "synthgap: runs without heartbeat have crashed"


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what Prefect's client raises into one ``RunError`` that names the server."""
    try:
        yield
    except (PrefectHTTPStatusError, httpx.HTTPError, DeploymentApplyError) as error:
        reason = str(error).partition(" for url")[0] or type(error).__name__
        hint = "; set PREFECT_API_AUTH_STRING to its user:password" if "401" in reason else ""
        raise RunError(f"Prefect at {PREFECT_API_URL.value()!r}: {reason}{hint}") from error


def prepare_pool(studies_at_once: int) -> None:
    """The work pool, with as many runs at once; runs beyond wait in its queue.

    A pool that is there gets our template, too: an older one let whoever starts a run choose a command for it. Raises
    ``RunError`` for one that starts no processes.
    """
    about = "Studies, each in a process of its own. Made by `synthgap up`."
    template = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(
                WorkPoolCreate(
                    name=POOL,
                    type="process",
                    description=about,
                    concurrency_limit=studies_at_once,
                    base_job_template=template,
                )
            )
        except ObjectAlreadyExists:
            if (kind := client.read_work_pool(POOL).type) != "process":
                raise RunError(f"work pool {POOL!r} starts runs as {kind}, `synthgap up` as processes") from None
            update = WorkPoolUpdate(concurrency_limit=studies_at_once, base_job_template=template)
            client.update_work_pool(POOL, update)


def prepare_automation() -> None:
    """The automation that ends runs whose process died unseen (another machine, power, memory)."""
    put_automation(zombie_automation())


def put_automation(wanted: AutomationCore) -> None:
    """Create an automation, or update the one of its name, which stays switched off where somebody did that."""
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(wanted.name)
        if found:
            client.update_automation(found[0].id, wanted.model_copy(update={"enabled": found[0].enabled}))
        else:
            client.create_automation(wanted)


def zombie_automation() -> AutomationCore:
    """After a heartbeat, another one or a change of state is expected in time; else the run has crashed."""
    beat = "prefect.flow-run.heartbeat"
    changes = ("Completed", "Failed", "Cancelled", "Crashed", "Cancelling", "Scheduled", "AwaitingRetry", "Late")
    return AutomationCore(
        name=ZOMBIES,
        description=f"A run that sends nothing for {SILENCE_S} s has lost its process. Start it again: every answer "
        "that arrived is kept.",
        trigger=EventTrigger(
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            after={beat},
            expect={beat, *(f"prefect.flow-run.{change}" for change in changes)},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENCE_S),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"no heartbeat for {SILENCE_S} s")],
    )


def recover(worker: str) -> list[str]:
    """Queue runs again that ``worker`` left when it ended, under the same run; the names of those that are queued.

    Safe because a study's finished work is found again. Where the pool has other workers that are well, the runs may be
    theirs and are left to the automation. A run that died ``ATTEMPTS`` times is marked Crashed.
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
                message = f"its process died {run.run_count} times"
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            else:
                client.set_flow_run_state(run.id, AwaitingRetry(message="its process died"), force=True)
                queued.append(run.name)
    return queued


def last_heartbeat() -> str | None:
    """When a worker of the pool last reported, by the server's clock; null where none ever did."""
    return max((item["last_heartbeat_time"] for item in _workers() if item["last_heartbeat_time"]), default=None)


def _workers() -> list[dict[str, Any]]:
    with get_client(sync_client=True) as client:
        workers: list[dict[str, Any]] = client.request(
            "POST", "/work_pools/{work_pool_name}/workers/filter", path_params={"work_pool_name": POOL}, json={}
        ).json()
    return workers


def last_runs(count: int) -> list[FlowRun]:
    """The newest runs, newest first."""
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=count)
