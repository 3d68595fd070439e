"""Imported synthetic rows, which pass the same filters as generated ones; no LLM is called.

Each row becomes a journal entry, so that accounting, provenance and export handle only one kind of data set. If a label
has more rows than are wanted, rows are chosen at random by draw, because files are often sorted. Texts are not changed:
labels and quotes, which are removed from an LLM's answer, stay in imported texts, because users would train on them.
"""

from collections import Counter

from tasks.config import ImportConfig
from tasks.data.imports import read_import
from tasks.data.split import by_label, ranked
from tasks.errors import RunError
from tasks.generation import keys
from tasks.generation.filter import FilterContext
from tasks.generation.filters import find_filters
from tasks.generation.form import ONE_TEXT
from tasks.generation.pipeline import FilterPipeline, Text
from tasks.generation.row_file import RowFile
from tasks.llm.calls import Answer
from tasks.llm.journal import Entry
from tasks.records import Example, SynthesisJob, TaskData, canonical, canonical_list, key_of_parts
from tasks.settings import Settings

SESSION = "import"


class ImportPipeline(FilterPipeline):
    """A filter pipeline whose entries are rows, not answers."""

    def texts(self, entry: Entry) -> list[Text]:
        """The row's text, unchanged."""
        return [Text(answer, answer.text) for answer in entry.answers]


def import_key(job: SynthesisJob, data: TaskData) -> str:
    """Key of the data set of an import: its rows, the number of rows wanted, the draw and the filters."""
    item = _import_of(job)
    rows = sorted((row.text, row.label) for row in read_import(item, job.task))
    parts = {"name": item.name, "cost": item.cost_usd, "draw": job.draw}
    small = {name: canonical(value) for name, value in parts.items()} | keys.filter_parts(job, data)
    return key_of_parts({**small, "imported": canonical_list(rows)})


def open_import(job: SynthesisJob, data: TaskData, settings: Settings) -> ImportPipeline:
    """A pipeline that filters the import's rows. Raises ``UserError`` for rows that do not fit the task."""
    item = _import_of(job)
    rows = read_import(item, job.task)
    groups = {label: ranked(group, f"imported:{job.draw}") for label, group in by_label(rows).items()}
    share = None if item.cost_usd is None else item.cost_usd / len(rows)

    def lookup(label: str, index: int) -> Entry:
        return _entry(item, groups[label][index], keys.call_id(label, index, 1), job.draw, share)

    folder = settings.home if settings.home.is_dir() else None
    return ImportPipeline(
        FilterContext(job.task, data.pool, keys.test_hashes(data.test), RowFile(folder)),
        find_filters(job.filters),
        ONE_TEXT,
        job.rows,
        {label: len(found) for label, found in groups.items()},
        lookup,
        RowFile(folder),
    )


def check_kept(job: SynthesisJob, pipeline: ImportPipeline) -> None:
    """Raise ``RunError`` for a label of which no row was kept."""
    for label in job.task.labels:
        if not pipeline.kept[label]:
            reasons = Counter(row.reason for row in pipeline.rejected if row.label == label)
            told = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
            raise RunError(
                f"import {_import_of(job).name!r}: the filters rejected all rows of label {label!r} ({told})"
            )


def _import_of(job: SynthesisJob) -> ImportConfig:
    if job.imported is None:
        raise ValueError(f"{job.name} is generated, not imported")
    return job.imported


def _entry(item: ImportConfig, row: Example, call: str, draw: int, share: float | None) -> Entry:
    """A row as the entry of a call whose answer is its text; ``share`` is the cost of one row, null if unknown."""
    return Entry(
        call=call,
        prompt="",
        seed=draw,
        answers=(Answer(row.text, "stop"),),
        asked=item.name,
        model="",
        tokens_in=0,
        tokens_out=0,
        cost_usd=share,
        session=SESSION,
        elapsed=0.0,
        time="",
    )
