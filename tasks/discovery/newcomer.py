"""The study that a new LLM is run in: the watch's own, with the new LLM and those whose rows are in the store.

Only the new one is asked anything. An LLM that is gone or has become dear stands beside it with what it wrote once,
and what would have to be asked of anybody else is left out.
"""

from tasks.config import GeneratorConfig, Study, WatchConfig
from tasks.discovery.memory import everyone, recall
from tasks.errors import UserError
from tasks.planning import plan_study
from tasks.settings import Settings
from tasks.store import Store


def newcomer_study(watch: WatchConfig, study: Study, model: str, month: str, settings: Settings) -> Study:
    """The watch's ``study`` with ``model`` added, paid from the watch's ledger of the month (``2026-11``).

    Annotators and judges are asked nothing for it: their answers are used where all of them are there already. Raises
    ``UserError`` for a model that none of the watch's providers ever listed.
    """
    store = Store(settings.store_url)
    known = recall(store, model)
    provider = next((item for item in watch.providers if known and item.address == known.provider), None)
    if provider is None:
        names = ", ".join(item.address for item in watch.providers)
        raise UserError(f"watch {watch.name!r} never met an LLM {model!r}; it asks {names}")
    others = [item for item in study.config.generators if item.model != model]
    listed = {item.model for item in others} | {model}
    others += [GeneratorConfig(model=item.model) for item in everyone(store) if item.model not in listed]
    before = Study(config=study.config.model_copy(update={"generators": tuple(others)}), folder=study.folder)
    plan = plan_study(before, settings)
    missing = [item.job.generator for item in plan.syntheses if not item.stored and item.job.imported is None]
    missing += [item.job.generator for item in plan.baselines if not item.stored and item.job.generator]
    changed = {
        "generators": (*(item for item in others if item not in missing), provider.generator(model)),
        "subjectivity": None if plan.questions else study.config.subjectivity,
        "account": watch.account(month),
        "budget_usd": watch.monthly_budget_usd,
    }
    return Study(config=study.config.model_copy(update=changed), folder=study.folder)
