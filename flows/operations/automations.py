"""The event that a new LLM was found, and the automation that answers it with a run of the watch's study.

Between the two stands Prefect's server, so that they may be on different machines. ``synthgap up`` makes the
automation; ``python -m flows.operations.automations`` makes all of them on a server of one's own.
"""

import sys

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import Event
from prefect.exceptions import ObjectNotFound
from pydantic import UUID4

from flows.operations.deployments import NEWCOMER
from flows.operations.prefect_admin import clear_errors, prepare_automation, put_automation
from tasks.discovery.memory import Known
from tasks.errors import RunError

EVENT = "llm.discovered"
RESOURCE = "synthgap.llm"
REACTION = "synthgap: a new LLM is run in its watch's study"


def announce_llm(known: Known, watch: str) -> None:
    """Tell Prefect's server of a new LLM; returns when the server has the event.

    Over the API and not over Prefect's queue of events, which drops what it cannot send without a word. Raises
    ``RunError``.
    """
    event = Event(
        event=EVENT,
        resource={"prefect.resource.id": f"{RESOURCE}.{known.model}", "prefect.resource.name": known.model},
        related=[{"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.role": "flow-run"}]
        if (run := runtime.flow_run.id)
        else [],
        payload={"watch": watch, "model": known.model, "provider": known.provider},
    )
    with clear_errors(), get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])


def reaction(deployment: UUID4) -> AutomationCore:
    """A new LLM starts the deployment with what the event says."""
    return AutomationCore(
        name=REACTION,
        description="A watch found an LLM that no study has seen: the watch's study is run for it. Only its cells are "
        "missing, so only they cost.",
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


def prepare_reaction() -> None:
    """Create or update the automation. Raises ``RunError`` where its deployment is not registered."""
    name = f"{NEWCOMER['name']}/{NEWCOMER['name']}"
    with clear_errors(), get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            raise RunError(f"deployment {name!r} is not registered; run `prefect deploy --all` first") from None
        put_automation(reaction(deployment.id))


def check_reaction() -> None:
    """Raises ``RunError`` where nothing would answer the event, so that it would be lost."""
    with clear_errors(), get_client(sync_client=True) as client:
        found = client.read_automations_by_name(REACTION)
    if not found:
        raise RunError(
            f"there is no automation {REACTION!r}, so nobody would answer; `synthgap up` makes it, or "
            "`python -m flows.operations.automations` on a server of your own"
        )
    if not found[0].enabled:
        raise RunError(f"the automation {REACTION!r} is switched off, so nobody would answer; switch it on in Prefect")


if __name__ == "__main__":
    with clear_errors():
        prepare_automation()
    prepare_reaction()
    sys.stderr.write("The automations of synthgap are up to date.\n")
