"""Which real texts a study would send, and to which hosts."""

from collections.abc import Sequence

from tasks.config import GeneratorConfig, StudyConfig, SubjectivityConfig
from tasks.errors import without_password
from tasks.generation.modes import find_mode
from tasks.labelling.panel import rated_rows
from tasks.labelling.question import examples
from tasks.labelling.untrained import interview
from tasks.llm.hosts import destination
from tasks.planning.plan import PlannedQuestions, PlannedSynthesis, PlannedUntrained, Shown
from tasks.records import TaskData
from tasks.settings import Settings

LOCAL_STORES = ("file", "local", "memory")
"""Protocols of stores on this machine."""
POOL, TEST, ALL = "few-shot pool", "test texts", "all real rows"
"""Kinds of real texts."""


def shown_texts(
    config: StudyConfig,
    data: Sequence[TaskData],
    syntheses: Sequence[PlannedSynthesis],
    untrained: Sequence[PlannedUntrained],
    questions: Sequence[PlannedQuestions],
) -> tuple[list[Shown], tuple[GeneratorConfig, ...]]:
    """Real texts that the remaining calls would send, one item for each task, kind and host; and the LLMs of the calls.

    A description of the task counts as one of the kinds.
    """
    by_task = {rows.task.name: rows for rows in data}
    most: dict[tuple[str, str, str | None], int] = {}
    asked: dict[str, GeneratorConfig] = {}

    def show(task: str, llm: GeneratorConfig, what: str = "description", texts: int = 0) -> None:
        place = task, what, destination(llm)
        most[place] = max(texts, most.get(place, 0))
        asked.setdefault(repr(llm), llm)

    for job in (item.job for item in syntheses if not item.stored and item.job.imported is None):
        show(job.task.name, job.generator)
        template = find_mode(job.mode).template
        if template and template.uses_pool:
            show(job.task.name, job.generator, POOL, len(by_task[job.task.name].pool))
    for cell in (item.job for item in untrained if not item.stored):
        if cell.generator:
            show(cell.task.name, cell.generator)
            show(cell.task.name, cell.generator, TEST, len(interview(cell, by_task[cell.task.name]).questions))
            if cell.kind.shows_examples:
                show(cell.task.name, cell.generator, POOL, len(examples(by_task[cell.task.name])))
    for item in questions:
        subjectivity = config.subjectivity or SubjectivityConfig()
        for llm in subjectivity.annotators if item.task else ():
            show(item.task, llm)
            show(item.task, llm, TEST, len(rated_rows(by_task[item.task], subjectivity, config.test_rows)))
        for llm in () if item.task else subjectivity.judges:
            for rows in data:
                show(rows.task.name, llm)
                show(rows.task.name, llm, POOL, len(rows.pool))
    return [Shown(task, what, texts, to) for (task, what, to), texts in most.items()], tuple(asked.values())


def stored_elsewhere(data: Sequence[TaskData], settings: Settings) -> list[Shown]:
    """All real rows of each task, if the store is on another machine: they are stored there for the workers."""
    scheme, _, rest = settings.store_url.partition("://")
    if not rest or scheme in LOCAL_STORES:
        return []
    place = f"the store ({scheme}://{without_password(f'x://{rest}').removeprefix('x://').partition('/')[0]})"
    return [Shown(rows.task.name, ALL, len(rows.train) + len(rows.test), place) for rows in data]
