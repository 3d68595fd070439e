"""A study's grid: which syntheses and trials it is made of, what they would cost, and what the store already holds.

Nothing here spends anything or needs a network: a plan is made from the config, the real rows and the store. Modes
that train on the same generated rows share one synthesis. Where a label has fewer real rows than the study asks for,
no more are generated than its real baseline can have, so that a gap is never one of size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tasks.config import GeneratorConfig, Study, StudyConfig, SubjectivityConfig, TaskConfig
from tasks.data import catalog
from tasks.data.load import load
from tasks.data.sample import natural_rows, test_sample
from tasks.errors import UserError, unknown, without_password
from tasks.generation.estimate import estimate
from tasks.generation.filters import filter_names, find_filters
from tasks.generation.modes import find_mode, find_modes
from tasks.generation.synthesize import read_rows, stored_synthesis
from tasks.labelling.baselines import baseline_jobs, check_baselines, interview, stored_baseline
from tasks.labelling.estimate import estimate_baseline, estimate_judges, estimate_panel, spent
from tasks.labelling.judges import judge_interviews
from tasks.labelling.panel import panel, rated_rows
from tasks.labelling.people import read_judgements
from tasks.labelling.question import examples
from tasks.llm.estimate import NOTHING
from tasks.llm.hosts import destination
from tasks.llm.prices import price_notes
from tasks.plan import Plan, PlannedBaseline, PlannedQuestions, PlannedSynthesis, PlannedTrial, Shown
from tasks.records import (
    Example,
    FilterCounts,
    Spent,
    Status,
    Synthesis,
    SynthesisJob,
    TaskData,
    TaskSummary,
    Trial,
    TrialJob,
    count_labels,
)
from tasks.settings import Settings
from tasks.store import Store, needed
from tasks.training.classifiers import check_classifier
from tasks.training.estimate import seconds_to_train
from tasks.training.trial import KIND as TRIALS
from tasks.training.trial import trial_key

BASELINE = "real"
REFERENCE = "real_full"
FEWEST = 2
"""Real rows of a label below which there is nothing to learn it from."""
LOCAL_STORES = ("file", "local", "memory")
"""Protocols of stores on this machine."""
POOL, TEST, ALL = "few-shot pool", "test texts", "all real rows"
"""Kinds of real texts."""
NAMED = 5
"""Labels that a note about missing rows names."""


def resolve(study: Study) -> tuple[TaskConfig, ...]:
    """The study's tasks, with every name in it checked against its table. Raises ``UserError``."""
    imports = any(mode.imports for mode in find_modes(study.config.modes))
    filters = find_filters(study.config.filters)
    for classifier in study.config.classifiers:
        check_classifier(classifier)
    check_baselines(study.config)
    tasks = tuple(catalog.find_task(reference, study.folder) for reference in study.config.tasks)
    for item in filters:
        for task in tasks:
            item.check_task(task)
    names = [task.name for task in tasks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"two tasks of the study are called {repeated[0]!r}; rename yours in its YAML")
    _check_imports(study.config, imports, names)
    if study.config.subjectivity and study.config.subjectivity.judgements:
        read_judgements(Path(study.config.subjectivity.judgements), names)
    return tasks


def _check_imports(config: StudyConfig, wanted: bool, tasks: Sequence[str]) -> None:
    if wanted and not config.imports:
        raise UserError("mode 'imported' has no rows: list them under imports (name, task, file)")
    if config.imports and not wanted:
        raise UserError(f"imports are listed, but mode 'imported' is not. Modes: {', '.join(config.modes)}")
    places = [(item.task, item.name) for item in config.imports]
    for task, name in places:
        if task not in tasks:
            raise unknown(f"task of import {name!r}:", task, tasks)
        if places.count((task, name)) > 1:
            raise UserError(f"two imports of task {task!r} are called {name!r}; give each a name of its own")


def plan_study(study: Study, settings: Settings) -> Plan:
    """The plan of a study, its real rows loaded and checked. Raises ``UserError`` for whatever cannot be run."""
    config = study.config
    data = [load(task, settings, config.pool_share, config.pool_rows_per_label) for task in resolve(study)]
    return make_plan(config, data, settings)


def make_plan(config: StudyConfig, data: Sequence[TaskData], settings: Settings) -> Plan:
    """The grid over loaded tasks, each part looked up in the store."""
    store = Store(settings.store_url)
    syntheses: list[PlannedSynthesis] = []
    trials: list[PlannedTrial] = []
    for rows in data:
        key = rows.key
        jobs = list(real_jobs(config, rows, key))
        for job in synthesis_jobs(config, rows):
            done, used_by = stored_synthesis(job, rows, settings), tuple(modes_of(config, job.mode))
            syntheses.append(PlannedSynthesis(job, used_by, done is not None, estimate(job, rows, settings)))
            jobs += synthetic_jobs(config, rows, key, done or expected_synthesis(job))
        trials += [PlannedTrial(job, _is_stored(job, rows, store)) for job in jobs]
    missing = [planned.job for planned in trials if not planned.stored]
    seconds = seconds_to_train(missing, config.test_rows or max(len(rows.test) for rows in data), store)
    notes = [f"{rows.task.name}: {note}" for rows in data if (note := summarise(config, rows).note)]
    baselines, questions = _plan_baselines(config, data, settings), _plan_questions(config, data, settings)
    shown, asked = _shown(config, data, syntheses, baselines, questions)
    shown += _stored_elsewhere(data, settings)
    notes += price_notes(asked, config.budget_usd, settings)
    planned = tuple(syntheses), tuple(trials), baselines, questions
    return Plan(config, *planned, seconds, tuple(notes), tuple(shown), asked)


def _shown(
    config: StudyConfig,
    data: Sequence[TaskData],
    syntheses: Sequence[PlannedSynthesis],
    baselines: Sequence[PlannedBaseline],
    questions: Sequence[PlannedQuestions],
) -> tuple[list[Shown], tuple[GeneratorConfig, ...]]:
    """Which real texts the calls that are still to be made show, each kind once for each task and host; and to whom."""
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
    for cell in (item.job for item in baselines if not item.stored):
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


def _stored_elsewhere(data: Sequence[TaskData], settings: Settings) -> list[Shown]:
    """A store on another machine gets all real rows: workers read them there."""
    scheme, _, rest = settings.store_url.partition("://")
    if not rest or scheme in LOCAL_STORES:
        return []
    place = f"the store ({scheme}://{without_password(f'x://{rest}').removeprefix('x://').partition('/')[0]})"
    return [Shown(rows.task.name, ALL, len(rows.train) + len(rows.test), place) for rows in data]


def _plan_baselines(config: StudyConfig, data: Sequence[TaskData], settings: Settings) -> tuple[PlannedBaseline, ...]:
    return tuple(
        PlannedBaseline(job, stored_baseline(job, rows, settings) is not None, estimate_baseline(job, rows, settings))
        for rows in data
        for job in baseline_jobs(config, rows.task)
    )


def needs_annotators(config: StudyConfig, data: TaskData) -> bool:
    """Whether a panel is asked about a task: the study has one, and the data no raters of its own."""
    asked = config.subjectivity is not None and bool(config.subjectivity.annotators)
    return asked and all(row.agreement is None for row in data.test)


def _plan_questions(config: StudyConfig, data: Sequence[TaskData], settings: Settings) -> tuple[PlannedQuestions, ...]:
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


def _is_stored(job: TrialJob, data: TaskData, store: Store) -> bool:
    if job.generator and not job.synthesis_key:
        return False
    rows = training_rows(job, data, store)  # raises where the task has too few real rows
    return store.get(TRIALS, trial_key(job, rows, test_sample(data, job.test_rows))) is not None


def draws(config: StudyConfig) -> tuple[int, ...]:
    """Seeds of the choice of training rows: one for the whole study, or one for every seed."""
    return (0,) if config.synthesis_per == "study" else config.seeds


def draw_of(config: StudyConfig, seed: int) -> int:
    """The draw that a seed's trials train on."""
    return 0 if config.synthesis_per == "study" else seed


def rows_wanted(config: StudyConfig, data: TaskData) -> dict[str, int]:
    """Training rows of each label: those that the study asks for; beside a real baseline no more than it can have."""
    if BASELINE not in config.modes:
        return dict.fromkeys(data.task.labels, config.rows_per_label)
    real = count_labels(data.train, data.task.labels)
    for label, n in real.items():
        if n < min(FEWEST, config.rows_per_label):
            raise UserError(
                f"task {data.task.name!r}: {n} real training row of label {label!r}, duplicates left out; "
                f"at least {FEWEST} are needed to train on"
            )
    return {label: min(config.rows_per_label, n) for label, n in real.items()}


def _few(config: StudyConfig, data: TaskData) -> dict[str, int]:
    """Labels of which fewer rows are wanted than the study asks for."""
    return {label: n for label, n in rows_wanted(config, data).items() if n < config.rows_per_label}


def summarise(config: StudyConfig, data: TaskData) -> TaskSummary:
    """A task for results, with a note where labels have fewer real rows than the study asks for."""
    few = _few(config, data)
    if not few:
        return data.summary
    named = [f"{label} {n}" for label, n in sorted(few.items(), key=lambda item: item[1])[:NAMED]]
    rest = f" and {len(few) - NAMED} more labels" if len(few) > NAMED else ""
    return replace(
        data.summary,
        note=f"fewer than {config.rows_per_label} real training rows of {', '.join(named)}{rest}; the real baseline "
        "has what there is, and as many rows are generated",
    )


def synthesis_jobs(config: StudyConfig, data: TaskData) -> Iterator[SynthesisJob]:
    """The distinct syntheses of one task, over what its modes train on, generators and draws.

    A synthesis has the name of its prompt template's own mode, whichever of the study's modes use it.
    """
    filters, rows = filter_names(config.filters), config.rows_per_label
    fewer = _few(config, data)
    modes = [find_mode(name) for name in config.modes]
    for source in dict.fromkeys(mode.template.name for mode in modes if mode.template):
        for generator in config.generators:
            for draw in draws(config):
                yield SynthesisJob(data.task, source, generator, draw, rows, config.extra_texts, filters, fewer=fewer)
    for mode in (mode for mode in modes if mode.imports):
        for item in (item for item in config.imports if item.task == data.task.name):
            name = GeneratorConfig(model=item.name)
            for draw in draws(config):
                yield SynthesisJob(data.task, mode.name, name, draw, rows, 0, filters, item, fewer)


def modes_of(config: StudyConfig, synthesis: str) -> list[str]:
    """The study's modes that train on the rows of a synthesis, by the synthesis's name."""
    return [name for name in config.modes if find_mode(name).source == synthesis]


def by_mode(config: StudyConfig, syntheses: Sequence[Synthesis]) -> list[Synthesis]:
    """Each synthesis once for every mode that trains on it, under that mode's name and with the same key."""
    return [replace(item, mode=mode) for item in syntheses for mode in modes_of(config, item.mode)]


def real_jobs(config: StudyConfig, data: TaskData, data_key: str) -> Iterator[TrialJob]:
    """Trials whose training rows are all real: the matched baseline, the pool and the full reference."""
    wanted = rows_wanted(config, data)
    for mode in (find_mode(name) for name in config.modes):
        if mode.source is None:
            yield from _jobs(config, data.task, data_key, mode.name, mode.count(data, wanted))
    if BASELINE in config.modes and config.reference_rows != 0:
        rows = natural_rows(data, config.reference_rows, 0)
        yield from _jobs(config, data.task, data_key, REFERENCE, count_labels(rows, data.task.labels))


def synthetic_jobs(config: StudyConfig, data: TaskData, data_key: str, synthesis: Synthesis) -> Iterator[TrialJob]:
    """Trials of all modes of one synthesis and, where it fell short of rows, of a real baseline as small as it is."""
    wanted = rows_wanted(config, data)
    counts = {label: min(n, synthesis.label_counts[label]) for label, n in wanted.items()}
    for name in modes_of(config, synthesis.mode):
        yield from _jobs(config, data.task, data_key, name, find_mode(name).count(data, counts), synthesis=synthesis)
    if BASELINE in config.modes and counts != wanted and all(counts.values()):
        yield from _jobs(config, data.task, data_key, BASELINE, counts, draw=synthesis.draw)


def _jobs(
    config: StudyConfig,
    task: TaskConfig,
    data_key: str,
    mode: str,
    counts: Mapping[str, int],
    synthesis: Synthesis | None = None,
    draw: int | None = None,
) -> Iterator[TrialJob]:
    wanted = synthesis.draw if synthesis else draw
    for classifier in config.classifiers:
        for seed in config.seeds:
            if wanted in (None, draw_of(config, seed)):
                yield TrialJob(
                    task=task,
                    mode=mode,
                    generator=synthesis.generator if synthesis else None,
                    classifier=classifier,
                    seed=seed,
                    data_key=data_key,
                    synthesis_key=synthesis.key if synthesis else None,
                    draw=draw_of(config, seed),
                    label_counts=counts,
                    test_rows=config.test_rows,
                )


def training_rows(job: TrialJob, data: TaskData, store: Store) -> tuple[Example, ...]:
    """The rows that a trial trains on, chosen by its mode from the real rows and those of its synthesis."""
    with needed():
        kept = read_rows(store, job.synthesis_key)[0] if job.synthesis_key else ()
    synthetic = tuple(Example(row.text, row.label) for row in kept)
    return find_mode(job.mode).select(data, synthetic, job.label_counts, job.draw)


def expected_synthesis(job: SynthesisJob) -> Synthesis:
    """What a synthesis that is still to be made would be, if nothing falls short."""
    return _unmade_synthesis(job, "ok", None)


def failed_synthesis(job: SynthesisJob, error: str) -> Synthesis:
    """The record of a synthesis that could not be made."""
    return _unmade_synthesis(job, "failed", error)


def undescribed(synthesis: Synthesis, error: str) -> Synthesis:
    """A synthesis whose texts could not be measured: its rows are as good as ever, the reason is shown."""
    return replace(synthesis, error=f"diversity and similarity could not be measured: {error}")


def _unmade_synthesis(job: SynthesisJob, status: Status, error: str | None) -> Synthesis:
    return Synthesis(
        key="",
        task=job.task.name,
        mode=job.mode,
        generator=job.generator.model,
        draw=job.draw,
        status=status,
        yields=FilterCounts(0, 0, 0, 0, 0, 0),
        label_counts=job.rows,
        tokens_in=0,
        tokens_out=0,
        cost_usd=None,
        seconds=0.0,
        error=error,
    )


def failed_trial(job: TrialJob, error: str) -> Trial:
    """The record of a cell that could not be run."""
    return Trial(
        key="",
        task=job.task.name,
        mode=job.mode,
        generator=job.generator,
        classifier=job.classifier.model,
        seed=job.seed,
        status="failed",
        n_train=sum(job.label_counts.values()),
        n_test=0,
        label_counts=job.label_counts,
        error=error,
    )
