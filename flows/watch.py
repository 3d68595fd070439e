"""A watch as a Prefect flow: list the providers' LLMs, test new ones, send an event for those that pass.

An LLM counts as triggered only when Prefect's server has the event; an event that could not be sent is sent again by
the next run of the watch. If a provider does not answer, the others are still asked, and the run ends as Failed.
"""

from functools import partial
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import stages
from flows.launch import clear_faults
from flows.operations.automations import announce_llm, check_new_llm_automation
from tasks.config import Study, WatchConfig
from tasks.config.named import named_watch
from tasks.data.load import load
from tasks.discovery.memory import mark_triggered, timestamp
from tasks.discovery.ping import ping_model
from tasks.discovery.watch import ProviderCheck, check_providers, sample_job
from tasks.errors import RunError, UserError
from tasks.llm.ledger import open_account
from tasks.planning.names import resolve
from tasks.reporting.publish import artifact_key
from tasks.settings import Settings
from tasks.store import Store, check_places


@flow(name="watch", flow_run_name="{watch}")
def watch(watch: str) -> State[Any]:
    """Ask providers which LLMs they serve, test new ones on a few rows, and start the study for those that pass.

    Args:
        watch: The watch file of this deployment; do not change it.

    """
    settings = Settings()
    try:
        check_places(settings)
        config, study = named_watch(watch, settings)
        with clear_faults(settings):
            check_new_llm_automation()
            found = _look(config, study, settings)
            create_table_artifact(found.table(), key=artifact_key(f"watch-{config.name}"), description=found.headline)
            for known in found.ready:
                announce_llm(known, watch)
                mark_triggered(Store(settings.store_url), known)
    except (UserError, RunError) as error:  # one line for a person, without a traceback
        return Failed(message=str(error))
    return Failed(message=found.headline) if found.silent else Completed(message=found.headline)


def _look(config: WatchConfig, study: Study, settings: Settings) -> ProviderCheck:
    first = resolve(study)[0]
    rows = load(first, settings, study.config.pool_share, study.config.pool_rows_per_label)
    key = stages.load_stage(stages.unsearched(rows), settings)
    store = Store(settings.store_url)
    now = timestamp()
    limits = config.monthly_budget_usd, study.config.budget_tokens
    ledger = open_account(settings, config.account(now[:7]), *limits)
    write = partial(stages.synthesize_stage, data_key=key, ledger=ledger, settings=settings)
    sample = sample_job(study.config, rows)
    return check_providers(config, sample, store, now, write, partial(ping_model, ledger=ledger))
