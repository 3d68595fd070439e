"""Untrained cells: the most frequent label, and an LLM that classifies the test rows itself.

They are trials like the others: scored on (a part of) the same test rows, with their predictions stored by item. An
answer that names no label is wrong: its prediction is ``UNANSWERED``, which is not a label of any task.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.config import GeneratorConfig, StudyConfig, TaskConfig
from tasks.data.sample import test_sample
from tasks.data.split import ranked
from tasks.errors import GoneError, RunError, UserError, unknown
from tasks.labelling.interview import Interview
from tasks.labelling.question import examples, labelling
from tasks.labelling.runner import Replies, Report, run_interviews
from tasks.llm.calls import CompletionFunction
from tasks.llm.journal import CallTotals
from tasks.llm.ledger import Ledger
from tasks.progress import Progress, announce
from tasks.records import (
    Arm,
    CellJob,
    Configured,
    Example,
    ModeFacts,
    TaskData,
    Trial,
    configured,
    content_key,
    count_labels,
)
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.evaluate import evaluate
from tasks.training.trial import KIND, PREDICTIONS, Prediction, find_trial, item_key

VERSION = 1
"""Increase it when a change of the code changes predictions."""
UNANSWERED = ""
"""Prediction if an LLM named no label."""


@dataclass(frozen=True)
class Untrained:
    """One way to classify without training."""

    classifier: str
    """Name in results."""
    title: str
    """A few words for tables and figures."""
    shows_examples: bool = False
    asks_llm: bool = True

    @property
    def facts(self) -> ModeFacts:
        """The facts about it that results have."""
        return ModeFacts(self.title, frozenset(), "the study's real rows")


UNTRAINED = {
    "majority": Untrained("majority", "majority label", asks_llm=False),
    "llm_zero_shot": Untrained("llm", "LLM itself, zero-shot"),
    "llm_few_shot": Untrained("llm", "LLM itself, few-shot", shows_examples=True),
}


@dataclass(frozen=True)
class UntrainedJob(CellJob):
    """One untrained cell of one task, without its real rows."""

    generator: GeneratorConfig | None
    """Null if no LLM is asked."""
    untrained_rows: int | None
    """Number of test rows that an LLM is asked about; null for all."""

    @property
    def kind(self) -> Untrained:
        """The way to classify."""
        return UNTRAINED[self.arm.mode]


def check_untrained(config: StudyConfig) -> None:
    """Raise ``UserError`` for an untrained arm that is unknown, listed twice or has no LLM to ask."""
    for name in config.untrained:
        if name not in UNTRAINED:
            raise unknown("untrained arm", name, UNTRAINED)
        if config.untrained.count(name) > 1:
            raise UserError(f"untrained arm {name!r} is listed twice")
        if UNTRAINED[name].asks_llm and not config.generators:
            raise UserError(f"untrained arm {name!r} asks the study's generators, and there are none; list one")


def untrained_jobs(config: StudyConfig, task: TaskConfig) -> tuple[UntrainedJob, ...]:
    """The untrained cells of a task, only for the first seed: they have no random part. Raises ``UserError``."""
    check_untrained(config)
    return tuple(
        UntrainedJob(
            untrained_arm(task, name, generator, config.generators),
            task,
            config.seeds[0],
            config.test_rows,
            generator,
            config.untrained_rows,
        )
        for name in config.untrained
        for generator in (config.generators if UNTRAINED[name].asks_llm else (None,))
    )


def untrained_arm(
    task: TaskConfig, name: str, generator: GeneratorConfig | None, among: Sequence[GeneratorConfig] = ()
) -> Arm:
    """The arm of one way to classify; ``among`` are the study's generators."""
    source = configured(generator, among) if generator else None
    classifier = UNTRAINED[name].classifier
    return Arm(task.name, name, source, Configured(classifier, classifier, classifier), None, ())


def stored_untrained(job: UntrainedJob, data: TaskData, settings: Settings) -> Trial | None:
    """The finished trial of a job; null if the store has none. Raises ``UserError`` like ``examples``."""
    return _find(job, Store(settings.store_url), untrained_key(job, data))


def classify(
    job: UntrainedJob,
    data: TaskData,
    settings: Settings,
    ledger: Ledger | None = None,
    complete: CompletionFunction | None = None,
    report: Report = announce,
) -> Trial:
    """Classify the test rows of one untrained cell, or find them in the store.

    If the budget is reached, the answered rows are scored (``n_test`` is their number; they are a random part), and a
    later run continues. A failure gives a trial with status ``failed`` and the reason; it is not stored.
    """
    store = Store(settings.store_url)
    try:
        key = untrained_key(job, data)
        found = _find(job, store, key)
        if found is None:
            asking = settings, ledger, complete, report
            made = _by_llm(job, data, key, *asking) if job.generator else _majority(job, data, key)
            found = _save(job, store, *made)
    except GoneError:  # the caller records that the LLM is gone
        raise
    except (RunError, UserError) as error:
        return job.failed(str(error))
    report(Progress("classify", job.cell, found.n_test, found.n_test, found.outcome))
    return found


def untrained_key(job: UntrainedJob, data: TaskData) -> str:
    """Content key of an untrained cell's trial: covers everything that affects its predictions and scores."""
    rows = _rows(job, data)
    how = interview(job, data).key if job.generator else count_labels(data.train, job.task.labels)
    tested = sorted((row.text, row.label, -1 if row.agreement is None else row.agreement) for row in rows)
    return content_key({"version": VERSION, "baseline": how, "labels": list(job.task.labels), "test": tested})


def interview(job: UntrainedJob, data: TaskData) -> Interview:
    """The questions to the LLM of a job. Raises ``UserError`` for a job that asks none."""
    if job.generator is None:
        raise UserError(f"untrained arm {job.arm.mode!r} asks no LLM")
    return labelling(job.task, job.generator, _rows(job, data), job.cell, shown=_shown(job, data))


def _shown(job: UntrainedJob, data: TaskData) -> tuple[Example, ...]:
    return examples(data) if job.kind.shows_examples else ()


def _rows(job: UntrainedJob, data: TaskData) -> list[Example]:
    """The rows to classify, in random order, so that a budget leaves a random part of them."""
    wanted = [n for n in (job.test_rows, job.untrained_rows if job.generator else None) if n is not None]
    return ranked(test_sample(data, min(wanted, default=None)), "asked")


Made = tuple[str, list[Prediction], Sequence[Example], dict[str, Any]]
"""Key, predictions, training rows that were used, and further fields of the trial."""


def _majority(job: UntrainedJob, data: TaskData, key: str) -> Made:
    """Predicts the most frequent label of the training rows; the probabilities are the labels' shares."""
    counts = count_labels(data.train, job.task.labels)
    if not data.train:
        raise UserError(f"task {job.task.name!r} has no training rows")
    label = max(counts, key=lambda name: counts[name])
    shares = tuple(round(count / len(data.train), 6) for count in counts.values())
    predictions = [
        Prediction(item_key(row.text), row.label, label, shares, row.agreement) for row in _rows(job, data)
    ]  # fmt: skip
    return key, predictions, data.train, {}


def _by_llm(
    job: UntrainedJob,
    data: TaskData,
    key: str,
    settings: Settings,
    ledger: Ledger | None,
    complete: CompletionFunction | None,
    report: Report,
) -> Made:
    asked, rows = interview(job, data), _rows(job, data)

    def progress(done: int, note: str) -> Progress:
        return Progress("classify", job.cell, done, len(rows), note)

    [replies] = run_interviews([asked], progress, report, settings, ledger, complete)
    predictions = [
        Prediction(item_key(row.text), row.label, reply.option or UNANSWERED, (), row.agreement)
        for row, reply in zip(rows, replies.replies, strict=True)
        if reply is not None
    ]
    if not predictions:
        raise RunError(replies.stopped or "there are no test rows")
    if replies.stopped:
        key = content_key([key, "stopped", [prediction.item for prediction in predictions]])
    return key, predictions, _shown(job, data), _taken(replies)


def _taken(replies: Replies) -> dict[str, Any]:
    """Cost, tokens and time of the answers, and the share of them that name no label."""
    entries = [reply.entry for reply in replies.replies if reply is not None]
    paid = CallTotals.of(entries)
    times = [entry.seconds for entry in entries if entry.seconds is not None]
    return {
        "cost_usd": paid.cost_usd,
        "latency_s": round(sum(times) / len(times), 4) if times else None,
        "seconds": paid.seconds,
        "calls_keys": [replies.interview.key],
        "unanswered": replies.unanswered,
        "stopped": replies.stopped,
        "tokens_in": paid.tokens_in,
        "tokens_out": paid.tokens_out,
        "model_answered": paid.model_answered,
    }


def _save(
    job: UntrainedJob,
    store: Store,
    key: str,
    predictions: list[Prediction],
    seen: Sequence[Example],
    taken: dict[str, Any],
) -> Trial:
    evaluation = asdict(
        evaluate([p.label for p in predictions], [p.predicted for p in predictions], list(job.task.labels))
    )
    confusion = evaluation.pop("confusion")
    trial = {name: taken.pop(name) for name in ("cost_usd", "latency_s", "seconds") if name in taken}
    counts = count_labels(seen, job.task.labels)
    manifest = {
        "baseline": job.arm.mode,
        "labels": list(job.task.labels),
        "classifier": job.kind.classifier,
        "seed": job.seed,
        "confusion": confusion,
        "label_counts": counts,
        "n_test": len(predictions),
        **taken,
        "scores": evaluation | trial,
    }
    store.put(KIND, key, manifest, {PREDICTIONS: predictions})
    return job.ended(key, counts, len(predictions), **manifest["scores"])


def _find(job: UntrainedJob, store: Store, key: str) -> Trial | None:
    found = find_trial(store, key)
    if found is None:
        return None
    return job.ended(key, found.label_counts, found.n_test, cached=True, **asdict(found.scores))
