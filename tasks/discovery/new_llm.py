"""The study that a new LLM is run in: the watch's own, with the new LLM and those whose rows are in the store.

Only the new LLM is called. An LLM that is no longer served, or has become expensive, is compared by the rows that it
wrote earlier; an LLM that would have to be called again is left out. How the study ended is recorded, so that a later
check continues what a budget or a failure left unfinished.
"""

from collections.abc import Sequence
from dataclasses import replace

from tasks.config import GeneratorConfig, StudyConfig, WatchConfig
from tasks.discovery.memory import Known, Status, everyone, recall, remember
from tasks.errors import UserError
from tasks.generation.synthesize import stored_synthesis
from tasks.planning.cost import planned_questions, planned_untrained
from tasks.planning.grid import synthesis_jobs
from tasks.planning.make import make_plan
from tasks.records import Synthesis, TaskData
from tasks.settings import Settings
from tasks.store import Store


def study_of_new_llm(
    watch: WatchConfig, study: StudyConfig, data: Sequence[TaskData], model: str, month: str, settings: Settings
) -> StudyConfig:
    """The watch's ``study`` with ``model`` added, paid from the watch's ledger of the month (``2026-11``).

    ``data`` has the study's real rows. Annotators and judges are not called: their answers are used if all of them are
    stored. Raises ``UserError`` for a model that none of the watch's providers has listed.
    """
    store = Store(settings.store_url)
    known = recall(store, model)
    provider = next((item for item in watch.providers if known and item.address == known.provider), None)
    if provider is None:
        names = ", ".join(item.address for item in watch.providers)
        raise UserError(f"watch {watch.name!r} found no LLM {model!r}; it asks the providers {names}")
    others = [item for item in study.generators if item.model != model]
    listed = {item.model for item in others} | {model}
    others += [item.generator for item in everyone(store) if item.model not in listed]
    before = study.model_copy(update={"generators": tuple(others)})
    missing = _to_be_asked(before, data, settings)
    changed = {
        "generators": (*(item for item in others if item not in missing), provider.generator(model)),
        "subjectivity": None if planned_questions(before, data, settings) else study.subjectivity,
        "account": watch.account(month),
        "budget_usd": watch.monthly_budget_usd,
    }
    return study.model_copy(update=changed)


def _to_be_asked(study: StudyConfig, data: Sequence[TaskData], settings: Settings) -> list[GeneratorConfig]:
    """The LLMs of which the store lacks a synthesis, or an answer to what an untrained arm asks."""
    jobs = ((job, rows) for rows in data for job in synthesis_jobs(study, rows) if job.imported is None)
    missing = [job.generator for job, rows in jobs if stored_synthesis(job, rows, settings) is None]
    untrained = (item.job.generator for item in planned_untrained(study, data, settings) if not item.stored)
    return [*missing, *(generator for generator in untrained if generator)]


def note_end(
    study: StudyConfig,
    data: Sequence[TaskData],
    model: str,
    syntheses: Sequence[Synthesis],
    errors: Sequence[str],
    started: str,
    settings: Settings,
) -> Known | None:
    """Record how a ``study_of_new_llm`` ended, by what the store still lacks.

    ``syntheses`` and ``errors`` of its parts say why something is missing. ``started`` is the ISO time that determined
    the month. Returns null for an LLM that was retired during the study.
    """
    plan = make_plan(study, data, settings)
    if plan.all_stored:
        return _note(model, "triggered", "", settings, started)
    limit = next((item.stopped for item in syntheses if item.stopped), "")
    if limit or not errors:  # nothing failed: an LLM that classifies has reached the limit
        why = f"{limit or 'the budget is reached'}; a look in the next month lets its study go on"
        return _note(model, "stopped", why, settings, started)
    return note_broken(model, errors[0], started, settings)


def note_broken(model: str, why: str, started: str, settings: Settings) -> Known | None:
    """Record that a failure ended the study of an LLM: the next check continues it."""
    return _note(model, "broken", why, settings, started)


def _note(model: str, status: Status, why: str, settings: Settings, now: str) -> Known | None:
    store = Store(settings.store_url)
    known = recall(store, model)
    if known is None or known.status == "retired":
        return None
    attempts = known.attempts + (status == "broken")
    return remember(store, replace(known, status=status, since=now, attempts=attempts, note=why))
