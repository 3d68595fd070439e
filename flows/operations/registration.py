"""Deployments on the Prefect server that is configured: made, brought up to date, removed when their files are gone.

What a person changed on the server is theirs: what is paused stays paused, and a schedule that was made for a study
there stays. A deployment is tagged with its owner, the home folder whose files it comes from, so that several machines
may share a server.
"""

import importlib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from tasks.errors import UserError

KINDS = ("study", "watch")
"""Parameters of deployments that name their file."""


def register(entry: Mapping[str, Any], *owner: str) -> None:
    """Create or update the deployment of an entry of prefect.yaml. Raises ``UserError`` for a schedule that cannot be.

    An entry without ``schedules`` has none to say.
    """
    module, _, flow = entry["entrypoint"].rpartition(".")
    fields = {name: entry[name] for name in ("name", "version", "description", "parameters")}
    wanted = _schedules(entry) if "schedules" in entry else None
    paused, there = _on_server(f"{flow}/{entry['name']}")
    active = all(schedule.active for schedule in there)
    RunnerDeployment.from_flow(
        getattr(importlib.import_module(module), flow),
        **fields,
        tags=[*entry["tags"], *owner],
        paused=paused,
        schedules=there if wanted is None else [replace(schedule, active=active) for schedule in wanted],
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]),
        work_pool_name=entry["work_pool"]["name"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    ).apply()


def _schedules(entry: Mapping[str, Any]) -> list[Schedule]:
    try:
        return [Cron(item["cron"], timezone=item["timezone"]) for item in entry["schedules"]]
    except ValueError:
        written = " and ".join(str(item) for item in entry["schedules"])
        raise UserError(f"{entry['name']}: {written} is no schedule; write cron as '0 6 * * *'") from None


def _on_server(name: str) -> tuple[bool, list[DeploymentScheduleCreate]]:
    """Whether a deployment is paused, and its schedules."""
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(name)
        except ObjectNotFound:
            return False, []
    fields = ("schedule", "active", "max_scheduled_runs", "parameters", "slug")
    return found.paused, [
        DeploymentScheduleCreate(**{field: getattr(item, field) for field in fields}) for item in found.schedules
    ]


def remove_lost(
    owner: str, entries: Iterable[Mapping[str, Any]], files: Mapping[str, Container[str]]
) -> Iterator[tuple[str, str]]:
    """Remove the owner's deployments whose files are gone, or say another name now; yields entry point and name.

    ``files`` has the stems of all files of a kind; of those that cannot be used at the moment there is no entry, which
    removes nothing. Runs that were made stay, those that still wait go.
    """
    names = {_file(entry["parameters"]): entry["name"] for entry in entries}
    theirs = DeploymentFilter(tags=DeploymentFilterTags(all_=[owner]))
    with get_client(sync_client=True) as client:
        for found in client.read_deployments(deployment_filter=theirs):
            kind, stem = _file(found.parameters)
            if stem not in files[kind] or names.get((kind, stem), found.name) != found.name:
                client.delete_deployment(found.id)
                yield str(found.entrypoint), found.name


def _file(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and stem of the file that a deployment comes from."""
    return next((kind, parameters[kind]) for kind in KINDS if kind in parameters)
