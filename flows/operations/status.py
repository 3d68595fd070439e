"""``synthgap status``: services, studies and last runs, as one object and as lines of text."""

import os
from collections.abc import Mapping
from typing import Any

from flows.operations import state
from flows.operations.deployments import study_deployments, watch_deployments
from flows.operations.environment import use_prefect_home
from tasks.config import named
from tasks.settings import Settings

RUNS = 5
"""How many of the last runs are shown."""


def status_of(settings: Settings) -> dict[str, Any]:
    """Services with their health, names of the studies and watches, and the last runs.

    ``healthy`` is false if ``up`` does not run or one of its services does not work.
    """
    found = state.read_state(settings)
    entries, complaints = study_deployments(named.find_studies(settings))
    watching, more = watch_deployments(named.find_watches(settings), settings)
    services = [
        {**service.model_dump(exclude={"health"}), "healthy": service.healthy()}
        for service in (found.services if found else ())
    ]
    alive = found is not None and found.alive
    healthy = alive and found is not None and found.ready and all(item["healthy"] for item in services)
    return {
        "healthy": healthy,
        "up": {"pid": found.pid, "alive": alive, "ready": found.ready} if found else None,
        "services": services,
        "studies": [entry["name"] for entry in entries],
        "watches": [entry["name"] for entry in watching],
        "complaints": complaints + more,
        "runs": _runs(found, settings) if found and healthy else [],
    }


def _runs(found: state.UpState, settings: Settings) -> list[dict[str, Any]]:
    os.environ["PREFECT_API_URL"] = found.prefect_api
    use_prefect_home(settings)
    state.log_in(found, settings)
    from flows.operations.prefect_admin import clear_errors, last_runs

    with clear_errors():
        runs = last_runs(RUNS)
    return [
        {
            "name": run.name,
            "state": run.state_name,
            "started": run.start_time.isoformat(timespec="seconds") if run.start_time else None,
            "seconds": round(run.total_run_time.total_seconds()),
            "message": run.state.message if run.state else None,
        }
        for run in runs
    ]


def shown(found: Mapping[str, Any]) -> str:
    """The status as lines of text."""
    if found["healthy"]:
        lines = ["synthgap is up."]
    elif found["up"] is None:
        lines = ["synthgap is not up. `synthgap up` starts it; `synthgap run STUDY` needs no server."]
    elif not found["up"]["alive"]:
        lines = [
            "`synthgap up` was killed and left processes running. `synthgap up` starts it again; "
            "`synthgap down` ends them."
        ]
    else:
        lines = ["synthgap is up, but a service does not work:" if found["up"]["ready"] else "synthgap is starting."]
    for service in found["services"]:
        good, bad = ("answers", "DOES NOT ANSWER") if service["url"] else ("runs", "HAS ENDED")
        health = good if service["healthy"] else bad
        process = f"process {service['pid']}" if service["pid"] else "not started here"
        lines.append(f"  {service['name']:8} {health:16} {service['url'] or '':24} {process}")
    lines.append(f"Studies: {', '.join(found['studies']) or 'none'}")
    lines.append(f"Watches: {', '.join(found['watches']) or 'none'}")
    lines += [f"  Cannot be used: {complaint}" for complaint in found["complaints"]]
    if found["runs"]:
        lines.append("Last runs:")
    for run in found["runs"]:
        message = f"  {run['message']}" if run["message"] else ""
        lines.append(
            f"  {run['started'] or 'waiting':26} {run['state']:12} {run['name']} ({run['seconds']} s){message}"
        )
    return "\n".join(lines)
