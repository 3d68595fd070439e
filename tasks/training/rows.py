"""The rows that a cell trains on, and the keys of the trials of many cells."""

import functools
from collections.abc import Iterator, Sequence

from tasks.data.sample import test_sample
from tasks.generation.modes import find_mode
from tasks.generation.synthesize import read_rows
from tasks.records import Example, TaskData, TrialJob
from tasks.store import Store, needed
from tasks.training.trial import trial_key

SYNTHESES = 2
"""Syntheses whose rows stay in memory. The cells of one synthesis run one after the other."""


def training_rows(job: TrialJob, data: TaskData, store: Store) -> tuple[Example, ...]:
    """The rows that a trial trains on, chosen by its mode from the real rows and those of its synthesis.

    Raises ``RunError`` if the synthesis is gone or damaged.
    """
    synthetic = _synthetic_rows(store, job.synthesis_key) if job.synthesis_key else ()
    return find_mode(job.arm.mode).select(data, synthetic, job.label_counts, job.draw)


@functools.lru_cache(maxsize=SYNTHESES)
def _synthetic_rows(store: Store, key: str) -> tuple[Example, ...]:
    with needed():
        return tuple(Example(row.text, row.label) for row in read_rows(store, key)[0])


def trial_keys(jobs: Sequence[TrialJob], data: TaskData, store: Store) -> Iterator[tuple[int, str | None]]:
    """The index of each of a task's jobs and the key of its trial; null if its rows are not generated yet.

    Rows that several cells share are chosen only once, so the indices are not in order. Raises ``UserError`` if the
    task has too few real rows for a cell.
    """
    alike: dict[object, list[int]] = {}
    for place, job in enumerate(jobs):
        chosen = job.synthesis_key, job.arm.mode, job.draw, tuple(job.label_counts.items())
        alike.setdefault(None if job.arm.source and not job.synthesis_key else chosen, []).append(place)
    yield from ((place, None) for place in alike.pop(None, []))
    for places in alike.values():
        rows = training_rows(jobs[places[0]], data, store)
        for place in places:
            yield place, trial_key(jobs[place], rows, test_sample(data, jobs[place].test_rows))
