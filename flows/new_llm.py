"""The study of a watch, run for one new LLM: what an automation starts when the event ``llm.discovered`` comes."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Failed

from tasks.config.named import named_watch
from tasks.errors import RunError, UserError
from tasks.settings import Settings
from tasks.store import check_places


@flow(name="newcomer", flow_run_name="{model}")
def newcomer(watch: str, model: str) -> State[Any]:
    """Run a watch's study for one new LLM. What the store has of others stands beside it; nobody else is asked.

    Args:
        watch: Name of the watch that found it. Its monthly budget pays.
        model: The LLM by litellm's name. The watch goes on by itself with what a failure or the month's budget left
            undone; start it by hand to go on sooner.

    """
    settings = Settings()
    try:
        return _run(watch, model, settings)
    except (UserError, RunError) as error:  # one line for a person, without a traceback
        return Failed(message=str(error))


def _run(watch: str, model: str, settings: Settings) -> State[Any]:
    from flows.run import check_generators, clear_faults
    from flows.study import study as study_flow
    from tasks.discovery.memory import timestamp
    from tasks.discovery.new_llm import note_broken, note_end, study_of_new_llm
    from tasks.locks import only_run_of
    from tasks.planning.make import plan_study

    check_places(settings)
    config, study = named_watch(watch, settings)
    with only_run_of(study.config.name, settings, wait=True):  # nobody would start it again
        now = timestamp()
        changed = study_of_new_llm(config, study, model, now[:7], settings)
        try:
            with clear_faults(settings):
                check_generators(plan_study(changed, settings))
                state: State[dict[str, Any]] = study_flow.fn(changed.config, changed.folder)
        except RunError as error:
            note_broken(model, str(error), now, settings)
            raise
        results: Any = state.result(raise_on_failure=False)  # what it carries, whether it failed or not
        known = note_end(changed, model, results, now, settings)
    said = f"; {known.note}" if known and known.note else ""
    return state.model_copy(update={"message": f"{state.message}{said}"})
