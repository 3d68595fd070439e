"""The study of a watch, run for one new LLM: what an automation starts when the event ``llm.discovered`` comes.

Prefect knows flow and deployment as ``newcomer``: another name would leave the old deployment behind on every server.
"""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from tasks.config.named import named_watch
from tasks.errors import RunError, UserError
from tasks.settings import Settings


@flow(name="newcomer", flow_run_name="{model}")
def newcomer(watch: str, model: str) -> State[Any]:
    """Run a watch's study for one new LLM. It is compared with what the store has of others; no other LLM is asked.

    Args:
        watch: Name of the watch that found it. Its monthly budget pays.
        model: The LLM by litellm's name. A later look of the watch goes on with what a failure or the month's budget
            left undone; start it by hand to go on sooner.

    """
    settings = Settings()
    try:
        return _run(watch, model, settings)
    except (UserError, RunError) as error:  # one line for a person, without a traceback
        return Failed(message=str(error))


def _run(watch: str, model: str, settings: Settings) -> State[Any]:
    from flows.launch import loaded, start
    from flows.study import run_study
    from tasks.discovery.memory import timestamp
    from tasks.discovery.new_llm import note_broken, note_end, study_of_new_llm

    config, study = named_watch(watch, settings)
    with loaded(study, settings, wait=True) as data:  # nobody would start it again
        now = timestamp()
        chosen = study_of_new_llm(config, study.config, data, model, now[:7], settings)
        try:
            state = start(chosen, data, settings, run_study)
        except RunError as error:
            note_broken(model, str(error), now, settings)
            raise
        results: Any = state.result(raise_on_failure=False)  # what it carries, whether it failed or not
        known = note_end(chosen, data, model, results.syntheses, results.errors, now, settings)
    said = f"; {known.note}" if known and known.note else ""
    return state.model_copy(update={"message": f"{state.message}{said}"})
