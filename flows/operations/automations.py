"""The two automations on the Prefect server: one ends dead runs, the other runs a watch's study for each new LLM.

An event that a watch sends triggers the second one. Watch and study need not run on the same machine, because they
communicate only through the server. ``synthgap up`` makes both automations; ``python -m flows.operations.automations``
makes them on your own server.
"""

import sys
from datetime import timedelta

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import Event
from prefect.exceptions import ObjectNotFound
from pydantic import UUID4

from flows.operations.deployments import NEWCOMER
from flows.operations.prefect_admin import clear_errors
from tasks.discovery.memory import Known
from tasks.errors import RunError

SILENCE_S = 540
"""Seconds without a heartbeat after which a run counts as dead: three times Prefect's default of 180 s, because a
healthy run that counts as dead would be started, and paid for, twice."""
DEAD_RUNS = "synthgap: runs without heartbeat have crashed"
"""Name of the automation that ends dead runs."""
EVENT = "llm.discovered"
RESOURCE = "synthgap.llm"
NEW_LLM = "synthgap: a new LLM is run in its watch's study"
"""Name of the automation that ``EVENT`` triggers."""


def dead_runs_automation() -> AutomationCore:
    """Marks a run as Crashed if its process ended without a report, such as after a power cut or for lack of memory.

    After each heartbeat, another one or a change of state must follow within ``SILENCE_S`` seconds.
    """
    beat = "prefect.flow-run.heartbeat"
    changes = ("Completed", "Failed", "Cancelled", "Crashed", "Cancelling", "Scheduled", "AwaitingRetry", "Late")
    return AutomationCore(
        name=DEAD_RUNS,
        description=f"A run that sends no heartbeat for {SILENCE_S} s has lost its process. Start it again: every "
        "answer that arrived is kept.",
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


def new_llm_automation(deployment: UUID4) -> AutomationCore:
    """Starts the deployment for the watch and the model that the event names."""
    return AutomationCore(
        name=NEW_LLM,
        description="A watch found an LLM that no study has used: the watch's study is run for it. Only the new LLM's "
        "cells run, so only they cost money.",
        trigger=EventTrigger(
            expect={EVENT}, match={"prefect.resource.id": f"{RESOURCE}.*"}, posture=Posture.Reactive, threshold=1
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=deployment,
                parameters={name: f"{{{{ event.payload.{name} }}}}" for name in ("watch", "model")},
            )
        ],
    )


def prepare_dead_runs_automation() -> None:
    """Create or update the automation that ends dead runs."""
    _put(dead_runs_automation())


def prepare_new_llm_automation() -> None:
    """Create or update the automation for new LLMs. Raises ``RunError`` if its deployment is not registered."""
    name = f"{NEWCOMER['name']}/{NEWCOMER['name']}"
    with clear_errors(), get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            raise RunError(f"deployment {name!r} is not registered; run `prefect deploy --all` first") from None
        _put(new_llm_automation(deployment.id))


def _put(wanted: AutomationCore) -> None:
    """Create an automation, or update the one with its name. If a user has switched it off, it stays off."""
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(wanted.name)
        if found:
            client.update_automation(found[0].id, wanted.model_copy(update={"enabled": found[0].enabled}))
        else:
            client.create_automation(wanted)


def check_new_llm_automation() -> None:
    """Raises ``RunError`` if the event would trigger no automation and so be lost."""
    with clear_errors(), get_client(sync_client=True) as client:
        found = client.read_automations_by_name(NEW_LLM)
    if not found:
        raise RunError(
            f"automation {NEW_LLM!r} does not exist, so no study would run for a new LLM; `synthgap up` makes it, or "
            "`python -m flows.operations.automations` on a server of your own"
        )
    if not found[0].enabled:
        raise RunError(
            f"automation {NEW_LLM!r} is switched off, so no study would run for a new LLM; switch it on in Prefect"
        )


def announce_llm(known: Known, watch: str) -> None:
    """Send the event of a new LLM; returns when the server has it. Raises ``RunError`` if it cannot be sent.

    It is sent by a separate request, because Prefect's event queue silently drops events that it cannot send.
    """
    run = runtime.flow_run.id
    event = Event(
        event=EVENT,
        resource={"prefect.resource.id": f"{RESOURCE}.{known.model}", "prefect.resource.name": known.model},
        related=[{"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.role": "flow-run"}]
        if run
        else [],
        payload={"watch": watch, "model": known.model, "provider": known.provider},
    )
    with clear_errors(), get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])


if __name__ == "__main__":
    with clear_errors():
        prepare_dead_runs_automation()
    prepare_new_llm_automation()
    sys.stderr.write("The automations of synthgap are up to date.\n")
