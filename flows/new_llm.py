"""Runs the study of a watch for one new LLM. An automation starts it after the event ``llm.discovered``.

In Prefect, the flow and its deployment have the name ``newcomer``. With another name, the old deployment would stay on
every server.
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
    """Run a watch's study for one new LLM. It is compared with stored rows of other LLMs; no other LLM is called.

    Args:
        watch: Name of the watch that found it. Its monthly budget limits this run.
        model: The LLM by litellm's name. If a failure or the month's budget stops this run, a later run of the watch
            continues it; start it by hand to continue sooner.

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
    with loaded(study, settings, wait=True) as data:  # waits, because nothing would start it again
        now = timestamp()
        chosen = study_of_new_llm(config, study.config, data, model, now[:7], settings)
        try:
            state = start(chosen, data, settings, run_study)
        except RunError as error:
            note_broken(model, str(error), now, settings)
            raise
        results: Any = state.result(raise_on_failure=False)  # also of a failed state
        known = note_end(chosen, data, model, results.syntheses, results.errors, now, settings)
    said = f"; {known.note}" if known and known.note else ""
    return state.model_copy(update={"message": f"{state.message}{said}"})
