"""The flow that Prefect's user interface starts: a study file, and a form that changes its values for one run.

Prefect makes the form from the signature and its docstring. All deployments use the same flow; each deployment has the
values of its study file. The flow is loaded by the name of its module, so that Prefect neither copies code nor changes
``sys.path``. The code that runs a study is imported when a run starts.
"""

from typing import Annotated, Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Failed
from pydantic import Field

from flows.overrides import overridden
from tasks.config.named import find_studies, fingerprint, named_study
from tasks.data import catalog
from tasks.errors import RunError, UserError
from tasks.generation.modes import MODES
from tasks.settings import Settings

# The form offers these names. Whether a name is allowed is checked with the whole study, with a clearer message.
TaskChoice = Annotated[str, Field(json_schema_extra={"enum": list(catalog.names())})]
ModeChoice = Annotated[str, Field(json_schema_extra={"enum": sorted(MODES)})]


@flow(name="study", flow_run_name="{study}")
def study(
    *,
    study: str,
    tasks: list[TaskChoice] = [],  # noqa: B006 - a form leaves out a list that is empty
    own_tasks: list[str] = [],  # noqa: B006
    modes: Annotated[list[ModeChoice], Field(min_length=1)],
    generators: Annotated[list[str], Field(min_length=1)],
    classifiers: Annotated[list[str], Field(min_length=1)],
    seeds: Annotated[list[int], Field(min_length=1)],
    rows_per_label: Annotated[int, Field(gt=0)],
    budget_usd: Annotated[float, Field(ge=0)] | None,
    tolerance: Annotated[float, Field(gt=0, lt=1)],
) -> State[Any]:
    """Generate, train, test, compare, report. Finished work is reused and costs nothing.

    Args:
        study: The study file of this deployment; do not change it. Values that this form does not show are taken from
            the file.
        tasks: Tasks that come with synthgap (`synthgap tasks` describes them).
        own_tasks: Tasks of your own: paths of task YAMLs in the study file's folder or in SYNTHGAP_HOME.
        modes: Where training rows come from. The other modes are compared with `real`.
        generators: LLMs that write rows, by litellm name: `embedded/smollm2-135m-instruct` needs no key,
            `openai/gpt-4o-mini` needs OPENAI_API_KEY where the worker runs. A model of the study file keeps its
            settings from the file.
        classifiers: Classifiers to train: `embedded/minilm-l6`, `probe/embedded/minilm-l6` (seconds; only a linear
            layer), or an encoder of the Hugging Face hub such as `FacebookAI/roberta-base`.
        seeds: Each cell is trained once for each seed. Gaps are paired by seed; more seeds make intervals narrower.
        rows_per_label: Training rows for each label, synthetic and real alike.
        budget_usd: Most dollars that this run may spend on LLM calls. None sets no limit.
        tolerance: Loss of macro-F1 (0.02 is 2 points) that you would accept for not labelling; the verdict uses it.

    """
    values = dict(locals())
    name = values.pop("study")
    try:
        return _run(name, values)
    except (UserError, RunError) as error:  # one line for a person, without a traceback
        return Failed(message=str(error))


def _run(name: str, values: dict[str, Any]) -> State[Any]:
    from flows.launch import launch
    from flows.study import run_study

    settings = Settings()
    changed = overridden(named_study(name, settings), values, settings.home)
    check_version(name, settings)
    return launch(changed, settings, run_study)


def check_version(name: str, settings: Settings) -> None:
    """Raise ``UserError`` if the study file has changed since it was registered, because the form shows old values."""
    registered, now = runtime.deployment.version, fingerprint(find_studies(settings)[name])
    if registered not in (None, now):
        raise UserError(
            f"the file of study {name!r} changed (it was {registered}, it is {now}); "
            "wait for `synthgap up` to register it, or run `prefect deploy`, then start the run again"
        )
