"""Deployments on the Prefect server: created, updated when their files change, removed when their files are gone.

Changes that a user made on the server are kept: a paused deployment stays paused, and a schedule that was added to a
study stays. Each deployment has a tag with its owner, the name of the worker for the home folder of its file, so that
several machines can share a server.
"""

import importlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.operations.deployments import Entry, study_deployments, watch_deployments
from tasks.config import named
from tasks.errors import UserError
from tasks.settings import Settings

REFUSED = (409, 422)
"""Statuses of Prefect's response to values that its form does not allow."""
KINDS = ("study", "watch")
"""Parameters that name the file of a deployment."""


class FileDeployments:
    """The deployments of all study and watch files of a home folder, and of the shipped ones."""

    def __init__(self, owner: str, settings: Settings) -> None:
        self.owner, self.settings = owner, settings
        self.complaints: tuple[str, ...] = ()
        """Files that cannot be used, with the reason."""
        self._fingerprints: dict[str, str] | None = None
        self._unusable: list[str] = []
        """The complaints about files that are invalid without asking Prefect."""
        self._registered: dict[tuple[str, str], Entry] = {}
        """Entry point and name of a deployment -> its registered entry."""

    def update(self, report: Callable[[str], None]) -> bool:
        """Register new and changed files and remove deployments without a file; returns whether anything had changed.

        ``report`` gets a line for each change, but only for removals at the first call.
        """
        found, watching = named.find_studies(self.settings), named.find_watches(self.settings)
        fingerprints = {str(path): named.fingerprint(path) for path in (*found.values(), *watching.values())}
        if fingerprints == self._fingerprints and not self._unusable:
            return False
        studies, complaints = study_deployments(found)
        watches, others = watch_deployments(watching, self.settings)
        entries, complaints = studies + watches, complaints + others
        if fingerprints == self._fingerprints and complaints == self._unusable:
            return False  # otherwise a file that a study names, such as a task, was corrected
        first = self._fingerprints is None
        self._unusable = list(complaints)
        for entry in entries:
            place = entry["entrypoint"], entry["name"]
            if self._registered.get(place) == entry:
                continue
            try:
                register(entry, self.owner)
            except UserError as error:
                complaints.append(str(error))
                continue
            self._registered[place] = entry
            if not first:
                report(f"Registered {entry['entrypoint'].rpartition('.')[2]} {entry['name']!r}.")
        for place in remove_lost(self.owner, entries, {"study": found, "watch": watching}):
            self._registered.pop(place, None)
            report(f"Removed {place[0].rpartition('.')[2]} {place[1]!r}, because its file is gone.")
        if not first:
            for complaint in set(complaints) - set(self.complaints):
                report(f"Not registered: {complaint}")
        self._fingerprints, self.complaints = fingerprints, tuple(complaints)
        return True


def offer_modes(deployment: RunnerDeployment, modes: Iterable[str]) -> None:
    """Add a study's modes to the list in the form, because the server refuses values that are not listed.

    The schema is a private field, because Prefect derives it only from the flow's signature. Without
    ``RunnerDeployment``, its code for schedules, pools and versions would have to be repeated here.
    """
    if listed := deployment._parameter_openapi_schema.properties.get("modes"):
        names = dict.fromkeys([*listed["items"]["enum"], *modes])
        listed["items"] = {**listed["items"], "enum": list(names)}


def register(entry: Mapping[str, Any], *owner: str) -> None:
    """Create or update the deployment of an entry. Raises ``UserError`` for a schedule or values that Prefect refuses.

    If an entry has no ``schedules``, those on the server are kept.
    """
    module, _, flow = entry["entrypoint"].rpartition(".")
    planned = _schedules(entry) if "schedules" in entry else None
    paused, on_server = _on_server(f"{flow}/{entry['name']}")
    schedules = on_server
    if planned is not None:
        active = all(schedule.active for schedule in on_server)
        schedules = [replace(schedule, active=active) for schedule in planned]
    deployment = RunnerDeployment.from_flow(
        getattr(importlib.import_module(module), flow),
        **{name: entry[name] for name in ("name", "version", "description", "parameters")},
        tags=[*entry["tags"], *owner],
        paused=paused,
        schedules=schedules,
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]),
        work_pool_name=entry["work_pool"]["name"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    offer_modes(deployment, entry["parameters"].get("modes", ()))
    try:
        deployment.apply()
    except (DeploymentApplyError, PrefectHTTPStatusError) as error:
        answer = getattr(error if isinstance(error, PrefectHTTPStatusError) else error.__cause__, "response", None)
        if answer is None or answer.status_code not in REFUSED:
            raise
        raise UserError(f"{flow} {entry['name']!r}: Prefect refuses its values: {answer.json()['detail']}") from None


def _schedules(entry: Mapping[str, Any]) -> list[Schedule]:
    try:
        return [Cron(item["cron"], timezone=item["timezone"]) for item in entry["schedules"]]
    except ValueError:
        written = " and ".join(str(item) for item in entry["schedules"])
        raise UserError(
            f"watch {entry['name']!r}: {written} is not a valid schedule; write `schedule` as cron, such as "
            "'0 6 * * *', and `timezone` as 'Europe/Berlin'"
        ) from None


def _on_server(name: str) -> tuple[bool, list[Any]]:
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
    """Remove the owner's deployments whose files are gone or now have another name; yields entry point and name.

    ``files`` has the stems of all files of a kind. An invalid file has no entry, but its deployment is kept. Runs that
    have started stay; runs that were only scheduled are removed.
    """
    names = {_file(entry["parameters"]): entry["name"] for entry in entries}
    with get_client(sync_client=True) as client:
        owned = DeploymentFilter(tags=DeploymentFilterTags(all_=[owner]))
        for found in client.read_deployments(deployment_filter=owned):
            kind, stem = _file(found.parameters)
            if stem not in files[kind] or names.get((kind, stem), found.name) != found.name:
                client.delete_deployment(found.id)
                yield str(found.entrypoint), found.name


def _file(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and stem of the file that a deployment comes from."""
    return next((kind, parameters[kind]) for kind in KINDS if kind in parameters)
