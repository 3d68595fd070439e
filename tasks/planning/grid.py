"""A study's grid: its syntheses and trials.

Modes that train on the same generated rows share one synthesis. If matched real rows are in the study and a label has
fewer real rows than it asks for, only as many rows are generated, so that a gap is never caused by the number of rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tasks.config import GeneratorConfig, StudyConfig, TaskConfig
from tasks.data.sample import natural_rows
from tasks.errors import UserError
from tasks.generation.filters import filter_names
from tasks.generation.modes import find_mode
from tasks.modes import MATCHED_REAL, REFERENCE
from tasks.records import Arm, Synthesis, SynthesisJob, TaskData, TaskSummary, TrialJob, configured, count_labels

FEWEST = 2
"""Fewest real rows of a label for a training."""
NAMED = 5
"""Most labels that a note about missing rows names."""


def needs_annotators(config: StudyConfig, data: TaskData) -> bool:
    """Whether a panel labels a task's texts: the study has annotators, and the data has no human raters."""
    asked = config.subjectivity is not None and bool(config.subjectivity.annotators)
    return asked and all(row.agreement is None for row in data.test)


def draws(config: StudyConfig) -> tuple[int, ...]:
    """Draws, which are seeds of the choice of training rows: one for the whole study, or one for every seed."""
    return (0,) if config.synthesis_per == "study" else config.seeds


def draw_of(config: StudyConfig, seed: int) -> int:
    """The draw of the training rows of a seed's trials."""
    return 0 if config.synthesis_per == "study" else seed


def rows_wanted(config: StudyConfig, data: TaskData) -> dict[str, int]:
    """Training rows of each label: as many as the study asks for, but at most as many as there are real rows if the
    study has matched real rows. Raises ``UserError`` for a label with too few real rows.
    """
    if MATCHED_REAL not in config.modes:
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
    """Rows of the labels for which fewer rows are wanted than the study asks for."""
    return {label: n for label, n in rows_wanted(config, data).items() if n < config.rows_per_label}


def summarise(config: StudyConfig, data: TaskData) -> TaskSummary:
    """A task for results, with a note if labels have fewer real rows than the study asks for."""
    few = _few(config, data)
    if not few:
        return data.summary
    named = [f"{label} {n}" for label, n in sorted(few.items(), key=lambda item: item[1])[:NAMED]]
    rest = f" and {len(few) - NAMED} more labels" if len(few) > NAMED else ""
    return replace(
        data.summary,
        note=f"fewer than {config.rows_per_label} real training rows of {', '.join(named)}{rest}; there "
        "is no more to train on, and as many rows are generated",
    )


def synthesis_jobs(config: StudyConfig, data: TaskData) -> Iterator[SynthesisJob]:
    """The distinct syntheses of one task, for each prompt template or import, generator and draw.

    A synthesis has the name of its prompt template's mode, even if only other modes of the study use it.
    """
    filters, rows = filter_names(config.filters), config.rows_per_label
    fewer = _few(config, data)
    modes = [find_mode(name) for name in config.modes]
    for source in dict.fromkeys(mode.template.name for mode in modes if mode.template):
        for generator in config.generators:
            for draw in draws(config):
                yield SynthesisJob(
                    data.task,
                    source,
                    generator,
                    draw,
                    rows,
                    config.extra_texts,
                    filters,
                    fewer=fewer,
                    among=config.generators,
                )
    for mode in (mode for mode in modes if mode.imports):
        for item in (item for item in config.imports if item.task == data.task.name):
            name = GeneratorConfig(model=item.name)
            for draw in draws(config):
                yield SynthesisJob(data.task, mode.name, name, draw, rows, 0, filters, item, fewer)


def modes_of(config: StudyConfig, synthesis: str) -> list[str]:
    """The study's modes that train on the rows of a synthesis, by the synthesis's name."""
    return [mode.name for mode in map(find_mode, config.modes) if mode.source == synthesis]


def by_mode(config: StudyConfig, syntheses: Sequence[Synthesis]) -> list[Synthesis]:
    """Each synthesis once for every mode that trains on it, with that mode's name and the same key."""
    return [replace(item, mode=mode) for item in syntheses for mode in modes_of(config, item.mode)]


def real_jobs(config: StudyConfig, data: TaskData, data_key: str) -> Iterator[TrialJob]:
    """Trials that train only on real rows: matched real rows, the pool and the full reference."""
    wanted = rows_wanted(config, data)
    for mode in (find_mode(name) for name in config.modes):
        if mode.source is None:
            size = config.rows_per_label if mode.name == MATCHED_REAL else None
            yield from _jobs(config, data.task, data_key, mode.name, mode.count(data, wanted), size)
    if MATCHED_REAL in config.modes and config.reference_rows != 0:
        rows = natural_rows(data, config.reference_rows, 0)
        yield from _jobs(config, data.task, data_key, REFERENCE, count_labels(rows, data.task.labels), None)


def synthetic_jobs(config: StudyConfig, data: TaskData, data_key: str, synthesis: Synthesis) -> Iterator[TrialJob]:
    """Trials of all modes of one synthesis and, if it has too few rows, of as many matched real rows."""
    wanted = rows_wanted(config, data)
    counts = {label: min(n, synthesis.label_counts[label]) for label, n in wanted.items()}
    for mode in map(find_mode, modes_of(config, synthesis.mode)):
        asked, found = mode.count(data, wanted), mode.count(data, counts)
        size = config.rows_per_label
        yield from _jobs(config, data.task, data_key, mode.name, asked, size, found=found, synthesis=synthesis)
    if MATCHED_REAL in config.modes and counts != wanted and all(counts.values()):
        yield from _jobs(config, data.task, data_key, MATCHED_REAL, counts, None, draw=synthesis.draw)


def _jobs(
    config: StudyConfig,
    task: TaskConfig,
    data_key: str,
    mode: str,
    asked: Mapping[str, int],
    size: int | None,
    *,
    found: Mapping[str, int] | None = None,
    synthesis: Synthesis | None = None,
    draw: int | None = None,
) -> Iterator[TrialJob]:
    """The cells of an arm for each classifier. ``asked`` are the rows by label that it asks for, ``found`` those that
    exist, if they differ.
    """
    wanted = synthesis.draw if synthesis else draw
    source, rows = synthesis.source if synthesis else None, tuple(sorted(asked.items()))
    for classifier in config.classifiers:
        arm = Arm(task.name, mode, source, configured(classifier, config.classifiers), size, rows)
        for seed in config.seeds:
            if wanted in (None, draw_of(config, seed)):
                yield TrialJob(
                    arm=arm,
                    task=task,
                    classifier=classifier,
                    seed=seed,
                    data_key=data_key,
                    synthesis_key=synthesis.key if synthesis else None,
                    draw=draw_of(config, seed),
                    label_counts=asked if found is None else found,
                    test_rows=config.test_rows,
                )
