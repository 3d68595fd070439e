"""What the questions of a study cost: those to LLMs that classify, annotators and judges."""

from collections.abc import Sequence

from tasks.config import StudyConfig
from tasks.labelling.baselines import baseline_jobs, interview, stored_baseline
from tasks.labelling.estimate import estimate_baseline, estimate_judges, estimate_panel, spent
from tasks.labelling.judges import judge_interviews
from tasks.labelling.panel import panel
from tasks.llm.estimate import NOTHING
from tasks.planning.grid import needs_annotators
from tasks.planning.plan import Plan, PlannedBaseline, PlannedQuestions
from tasks.records import Spent, TaskData
from tasks.settings import Settings


def planned_baselines(config: StudyConfig, data: Sequence[TaskData], settings: Settings) -> tuple[PlannedBaseline, ...]:
    """The cells that train nothing, each looked up in the store."""
    return tuple(
        PlannedBaseline(job, stored_baseline(job, rows, settings) is not None, estimate_baseline(job, rows, settings))
        for rows in data
        for job in baseline_jobs(config, rows.task)
    )


def planned_questions(
    config: StudyConfig, data: Sequence[TaskData], settings: Settings
) -> tuple[PlannedQuestions, ...]:
    """What annotators and judges are still to be asked."""
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
    """What the study's baselines, annotators and judges took, calls of earlier runs included."""
    by_task = {rows.task.name: rows for rows in data}
    asked = [interview(job, by_task[job.task.name]) for job in plan.baseline_jobs if job.generator]
    config = plan.study.subjectivity
    if config:
        panels = [rows for rows in data if needs_annotators(plan.study, rows)]
        asked += [item for rows in panels for item in panel(rows, config, plan.study.test_rows)]
        asked += [item for item, _ in judge_interviews(data, config)]
    return spent(asked, settings)
