"""The study of a watch, run for one new LLM: what an automation starts when the event ``llm.discovered`` comes."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from flows.watches import named_watch
from tasks.errors import RunError, UserError
from tasks.settings import Settings


@flow(name="newcomer", flow_run_name="{model}")
def newcomer(watch: str, model: str) -> State[Any]:
    """Run a watch's study for one new LLM. What the store has of others stands beside it; nobody else is asked.

    Args:
        watch: Name of the watch that found it. Its monthly budget pays.
        model: The LLM by litellm's name. Start it again to go on where a budget or a failure ended it.

    """
    settings = Settings()
    try:
        return _run(watch, model, settings)
    except (UserError, RunError) as error:  # one line for a person, without a traceback
        return Failed(message=str(error))


def _run(watch: str, model: str, settings: Settings) -> State[Any]:
    from flows.run import check_generators, only_run_of
    from flows.study import study as study_flow
    from tasks.discovery.memory import timestamp
    from tasks.discovery.newcomer import newcomer_study
    from tasks.planning import plan_study

    settings.check_home()
    config, study = named_watch(watch, settings)
    with only_run_of(study.config.name, settings, wait=True):  # nobody would start it again
        changed = newcomer_study(config, study, model, timestamp()[:7], settings)
        check_generators(plan_study(changed, settings))
        state: State[Any] = study_flow.fn(changed.config, changed.folder)
    return state
