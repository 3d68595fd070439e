"""Cost of a study's questions to LLMs that classify, annotators and judges."""

from collections.abc import Sequence

from tasks.config import StudyConfig
from tasks.labelling.estimate import estimate_judges, estimate_panel, estimate_untrained, spent
from tasks.labelling.judges import judge_interviews
from tasks.labelling.panel import panel
from tasks.labelling.untrained import interview, stored_untrained, untrained_jobs
from tasks.llm.estimate import NOTHING
from tasks.planning.grid import needs_annotators
from tasks.planning.plan import Plan, PlannedQuestions, PlannedUntrained
from tasks.records import Spent, TaskData
from tasks.settings import Settings


def planned_untrained(
    config: StudyConfig, data: Sequence[TaskData], settings: Settings
) -> tuple[PlannedUntrained, ...]:
    """The untrained cells, each looked up in the store."""
    return tuple(
        PlannedUntrained(
            job, stored_untrained(job, rows, settings) is not None, estimate_untrained(job, rows, settings)
        )
        for rows in data
        for job in untrained_jobs(config, rows.task)
    )


def planned_questions(
    config: StudyConfig, data: Sequence[TaskData], settings: Settings
) -> tuple[PlannedQuestions, ...]:
    """The remaining questions to annotators and judges."""
    asked = config.subjectivity
    if asked is None:
        return ()
    panels = [
        PlannedQuestions(rows.task.name, "annotators", estimate_panel(rows, asked, config.test_rows, settings))
        for rows in data
        if needs_annotators(config, rows)
    ]
    judges = [PlannedQuestions("", "judges", estimate_judges(data, asked, settings))] if asked.judges else []
    return tuple(item for item in (*panels, *judges) if item.estimate != NOTHING)


def spent_on_questions(plan: Plan, data: Sequence[TaskData], settings: Settings) -> Spent:
    """The cost of the study's untrained arms, annotators and judges, including calls of earlier runs."""
    by_task = {rows.task.name: rows for rows in data}
    asked = [interview(job, by_task[job.task.name]) for job in plan.untrained_jobs if job.generator]
    config = plan.study.subjectivity
    if config:
        panels = [rows for rows in data if needs_annotators(plan.study, rows)]
        asked += [item for rows in panels for item in panel(rows, config, plan.study.test_rows)]
        asked += [item for item, _ in judge_interviews(data, config)]
    return spent(asked, settings)
