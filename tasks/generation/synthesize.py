"""Makes one generated data set, or finds it in the store: calls -> journal -> filters -> rows. Imported rows need no
calls.

A finished data set is stored under its synthesis key. If the budget stops a synthesis, its rows are stored under a key
of their content: they can be trained on, and a later run with money left continues from the journal. A stored data set
has its rows, the facts about their calls, and the key of its journal. Only the journal has the answers.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import RunError, UserError
from tasks.generation import importing, keys
from tasks.generation.filter import FilterContext
from tasks.generation.filters import find_filters
from tasks.generation.generate import GenerationRun, paid_for
from tasks.generation.keys import calls_key
from tasks.generation.pipeline import FilterPipeline, count_kept
from tasks.generation.row_file import RowFile
from tasks.llm import loop
from tasks.llm.calls import CompletionFunction
from tasks.llm.journal import CallTotals, Entry, Journal, answered_by, entries_in, open_journal
from tasks.llm.ledger import Ledger
from tasks.llm.metered import connect, spending_of
from tasks.llm.prices import price_map
from tasks.llm.spending import Spending
from tasks.progress import Progress, announce
from tasks.records import Row, Synthesis, SynthesisJob, TaskData, content_key
from tasks.settings import Settings
from tasks.store import Store

KIND = "syntheses"
ROWS, CALLS = "rows.jsonl", "calls.jsonl"
JOURNAL = "journal.jsonl"
"""A copy of the whole journal, which syntheses of schema 0 have instead of their calls."""

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose texts were filtered, as it is stored: without its answers, which only the journal has."""

    call: str
    asked: str
    """The model that was called."""
    model: str
    """The model that answered, as the provider reports it."""
    seed: int
    prompt: str
    """Hash of the messages."""
    time: str
    """When it was answered, UTC."""
    tokens_in: int
    tokens_out: int
    cost_usd: float | None

    @classmethod
    def of(cls, entry: Entry) -> "Call":
        """The call of a journal's entry."""
        return cls(**{item.name: getattr(entry, item.name) for item in dataclasses.fields(cls)})


@dataclass(frozen=True)
class StoredSynthesis:
    """The part of a stored synthesis's manifest that is read."""

    synthesis: Synthesis


def synthesis_key(job: SynthesisJob, data: TaskData) -> str:
    """Key of a job's data set, generated or imported."""
    return keys.synthesis_key(job, data) if job.imported is None else importing.import_key(job, data)


def stored_synthesis(job: SynthesisJob, data: TaskData, settings: Settings) -> Synthesis | None:
    """The finished synthesis of a job; null if the store has none."""
    return _find(job, Store(settings.store_url), synthesis_key(job, data))


def read_rows(store: Store, key: str) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Kept and rejected rows of a synthesis, in the order of their calls. Raises ``FileNotFoundError`` if it is absent
    or damaged.
    """
    kept: list[Row] = []
    rejected: list[Row] = []
    for row in each_row(store, key):
        (kept if row.reason is None else rejected).append(row)
    return tuple(kept), tuple(rejected)


def each_row(store: Store, key: str) -> Iterator[Row]:
    """Kept, then rejected rows of a synthesis one by one: there may be millions. Raises like ``read_rows``."""
    return store.each_row(KIND, key, ROWS, Row)


def _find(job: SynthesisJob, store: Store, key: str) -> Synthesis | None:
    """The stored synthesis; null if there is none or its rows are damaged."""
    manifest = store.record(KIND, key, StoredSynthesis)
    if manifest is None:
        return None
    found = manifest.synthesis
    counts: Counter[str] = Counter()
    rejected = 0
    try:
        for row in each_row(store, key):
            if row.reason is None:
                counts[row.label] += 1
            else:
                rejected += 1
    except FileNotFoundError:
        return None
    if counts != Counter(found.label_counts) or rejected != found.yields.requested - found.yields.kept:
        store.damaged(KIND, key, f"{ROWS} has other rows than the manifest counts")
        return None
    store.touch(KIND, key)
    return dataclasses.replace(found, mode=job.mode, source=job.source)  # others use the same synthesis


def _pipeline(job: SynthesisJob, data: TaskData, journal: Journal) -> FilterPipeline:
    folder = journal.path.parent
    context = FilterContext(job.task, data.pool, keys.test_hashes(data.test), RowFile(folder))
    turns = keys.template_of(job).turns

    def lookup(label: str, index: int) -> Entry | None:
        return journal.entries.get(keys.call_id(label, index, turns))

    most = {label: math.ceil(rows * (1 + job.extra_texts)) for label, rows in job.rows.items()}
    return FilterPipeline(
        context, find_filters(job.filters), keys.form_of(job), job.rows, most, lookup, RowFile(folder)
    )


def _progress(job: SynthesisJob, pipeline: FilterPipeline, report: Report) -> Callable[[], None]:
    total = sum(job.rows.values())
    seen = -1

    def step() -> None:
        nonlocal seen
        if pipeline.paid.calls != seen and not pipeline.finished:  # the end is reported after the rows are stored
            seen = pipeline.paid.calls
            rejected = f"{len(pipeline.rejected)} rejected"
            report(Progress("synthesize", job.name, pipeline.kept.total(), total, rejected))

    return step


def _result(job: SynthesisJob, key: str, pipeline: FilterPipeline, paid: CallTotals, stopped: str) -> Synthesis:
    """The record of the pipeline's rows and of the calls that were ``paid`` for them."""
    short = count_kept(pipeline) != job.rows
    return Synthesis(
        key=content_key([key, "stopped", [row.call for row in pipeline.context.kept]]) if stopped else key,
        task=job.task.name,
        mode=job.mode,
        generator=job.generator.model,
        draw=job.draw,
        status="ok",
        yields=pipeline.yields(),
        label_counts=count_kept(pipeline),
        tokens_in=paid.tokens_in,
        tokens_out=paid.tokens_out,
        cost_usd=paid.cost_usd,
        seconds=paid.seconds,
        model_answered=paid.model_answered,
        calls=paid.calls,
        short=short,
        stopped=stopped,
        label_noise=_label_noise(job, pipeline),
        calls_estimated=paid.estimated,
    )


def _label_noise(job: SynthesisJob, pipeline: FilterPipeline) -> float | None:
    """Estimated label noise of the kept rows, from the label check's classifier; null without that filter."""
    if "label_check" not in job.filters:
        return None
    from tasks.generation import label_noise, pool_classifier  # numpy would slow down a plan

    classifier = pool_classifier.train(pipeline.context.pool)
    found = label_noise.label_noise(pipeline.context.kept, classifier) if classifier else None
    return round(found.rate, 4) if found else None


def _save(store: Store, pipeline: FilterPipeline, result: Synthesis, **more: str) -> None:
    rows = itertools.chain(pipeline.context.kept.lines(), pipeline.rejected.lines())
    files = {ROWS: rows, CALLS: map(Call.of, pipeline.looked_at())}
    store.put(KIND, result.key, {"synthesis": dataclasses.asdict(result), **more}, files)


def _generate(
    job: SynthesisJob,
    data: TaskData,
    key: str,
    settings: Settings,
    spending: Spending,
    complete: CompletionFunction | None,
    report: Report,
) -> Synthesis:
    store = Store(settings.store_url)
    path = settings.home / "journals" / f"{calls_key(job, data)}.jsonl"
    with open_journal(path, job.name, answered_by(job.generator.model)) as journal:
        if (found := _find(job, store, key)) is not None:  # another run made it while this one waited for the journal
            return found
        if (copy := store.as_it_stands(KIND, key, JOURNAL)) is not None:  # maybe only the rows are damaged
            journal.adopt(entries_in(copy, Path(KIND, key, JOURNAL)))
        pipeline = _pipeline(job, data, journal)
        step = _progress(job, pipeline, report)
        pipeline.advance(step)
        stopped = ""
        if not pipeline.finished:
            store.check_writable()
            work = GenerationRun(job, data, journal, pipeline, complete or connect(job.generator), spending, step)
            loop.run(work.run())
            stopped = work.stopped if not pipeline.finished else ""
        result = _result(job, key, pipeline, paid_for(pipeline, journal, keys.template_of(job).turns), stopped)
        _save(store, pipeline, result, calls_key=calls_key(job, data), prices=price_map())
        return result


def synthesize(
    job: SynthesisJob,
    data: TaskData,
    settings: Settings,
    ledger: Ledger | None = None,
    complete: CompletionFunction | None = None,
    report: Report = announce,
) -> Synthesis:
    """Generate or import a data set, or find it in the store.

    Generation uses the pool of ``data``, filters use hashes of its test texts. ``ledger`` is the run's budget; null
    means no limit. ``complete`` makes an LLM call; null calls the generator through litellm. ``report`` gets the
    progress.

    Raises ``UserError`` for an invalid job, ``RunError`` if the generator fails; the journal then has every completed
    call, so that none is made again.
    """
    key = synthesis_key(job, data)
    total = sum(job.rows.values())
    try:
        result = _find(job, Store(settings.store_url), key)
        note = "from the store"
        if result is None and job.imported is not None:
            pipeline = importing.open_import(job, data, settings)
            pipeline.advance(_progress(job, pipeline, report))
            importing.check_kept(job, pipeline)
            result = dataclasses.replace(_result(job, key, pipeline, pipeline.paid, ""), calls=0)  # entries are rows
            _save(Store(settings.store_url), pipeline, result)
            note = _note(result)
        elif result is None:
            spending = spending_of(job.generator, ledger)
            result = _generate(job, data, key, settings, spending, complete, report)
            note = _note(result)
    except (UserError, RunError) as error:
        report(Progress("synthesize", job.name, 0, total, str(error), failed=True))
        raise
    report(Progress("synthesize", job.name, total, total, note))
    return dataclasses.replace(result, source=job.source)


def _note(result: Synthesis) -> str:
    kept, asked = result.yields.kept, result.yields.requested
    note = f"{kept} kept of {asked}"
    if result.stopped:
        return f"{note}, {result.stopped}"
    return f"{note}, fewer than asked for" if result.short else note
