"""The rows that a cell trains on, and whether the store has its trial."""

from tasks.data.sample import test_sample
from tasks.generation.modes import find_mode
from tasks.generation.synthesize import read_rows
from tasks.records import Example, TaskData, TrialJob
from tasks.store import Store, needed
from tasks.training.trial import KIND, trial_key


def training_rows(job: TrialJob, data: TaskData, store: Store) -> tuple[Example, ...]:
    """The rows that a trial trains on, chosen by its mode from the real rows and those of its synthesis."""
    with needed():
        kept = read_rows(store, job.synthesis_key)[0] if job.synthesis_key else ()
    synthetic = tuple(Example(row.text, row.label) for row in kept)
    return find_mode(job.arm.mode).select(data, synthetic, job.label_counts, job.draw)


def is_stored(job: TrialJob, data: TaskData, store: Store) -> bool:
    """Whether the store has the trial of a cell. Raises ``UserError`` where the task has too few real rows for it."""
    if job.arm.source and not job.synthesis_key:
        return False
    key = trial_key(job, training_rows(job, data, store), test_sample(data, job.test_rows))
    return store.get(KIND, key) is not None
