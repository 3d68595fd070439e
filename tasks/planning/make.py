"""Makes the plan of a study: its grid over loaded rows, each part looked up in the store."""

import functools
import logging
from collections.abc import Sequence
from functools import partial

from tasks.config import Study, StudyConfig
from tasks.data.load import load
from tasks.generation.estimate import estimate, experience
from tasks.generation.synthesize import stored_synthesis
from tasks.llm.estimate import NOTHING
from tasks.llm.prices import price_notes
from tasks.planning.cost import planned_questions, planned_untrained
from tasks.planning.exposure import shown_texts, stored_elsewhere
from tasks.planning.grid import modes_of, real_jobs, summarise, synthesis_jobs, synthetic_jobs
from tasks.planning.names import resolve
from tasks.planning.plan import Plan, PlannedSynthesis, PlannedTrial
from tasks.planning.unmade import expected_synthesis
from tasks.progress import counted
from tasks.records import TaskData
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.estimate import seconds_to_train
from tasks.training.rows import trial_keys
from tasks.training.trial import KIND as TRIALS

LOGGER = logging.getLogger("synthgap")


def plan_study(study: Study, settings: Settings) -> Plan:
    """The plan of a study, after loading and checking its real rows. Raises ``UserError`` for an invalid study."""
    return make_plan(study.config, load_tasks(study, settings), settings)


def load_tasks(study: Study, settings: Settings) -> tuple[TaskData, ...]:
    """The real rows of a study's tasks. Raises ``UserError`` for an invalid name or file."""
    pool = study.config.pool_share, study.config.pool_rows_per_label
    return tuple(load(task, settings, *pool) for task in resolve(study))


def make_plan(config: StudyConfig, data: Sequence[TaskData], settings: Settings) -> Plan:
    """The plan of a study for loaded tasks, with each part looked up in the store."""
    store = Store(settings.store_url)
    syntheses: list[PlannedSynthesis] = []
    trials: list[PlannedTrial] = []
    earlier = functools.cache(partial(experience, store))  # read only if a synthesis is missing
    for rows in data:
        jobs, wanted = list(real_jobs(config, rows, rows.key)), list(synthesis_jobs(config, rows))
        for job in counted(wanted, len(wanted), f"planning the syntheses of {rows.task.name}"):
            made, used_by = stored_synthesis(job, rows, settings), tuple(modes_of(config, job.mode))
            costs = NOTHING if made else estimate(job, rows, settings, earlier())
            syntheses.append(PlannedSynthesis(job, used_by, made is not None, costs))
            jobs += synthetic_jobs(config, rows, rows.key, made or expected_synthesis(job))
        keys = dict(counted(trial_keys(jobs, rows, store), len(jobs), f"planning the cells of {rows.task.name}"))
        stored = store.finished(TRIALS, dict.fromkeys(key for key in keys.values() if key))
        trials += [PlannedTrial(job, keys[place] in stored) for place, job in enumerate(jobs)]
    missing = [planned.job for planned in trials if not planned.stored]
    seconds = seconds_to_train(missing, data, config.test_rows, store)
    notes = [f"{rows.task.name}: {note}" for rows in data if (note := summarise(config, rows).note)]
    untrained, questions = planned_untrained(config, data, settings), planned_questions(config, data, settings)
    shown, asked = shown_texts(config, data, syntheses, untrained, questions)
    shown += stored_elsewhere(data, settings)
    notes += price_notes(asked, config.budget_usd, settings)
    planned = tuple(syntheses), tuple(trials), untrained, questions
    LOGGER.debug("planned study %s: %d syntheses and %d trials", config.name, len(syntheses), len(trials))
    return Plan(config, *planned, seconds, tuple(notes), tuple(shown), asked)
