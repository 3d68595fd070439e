"""The panel of annotators: LLMs in several roles label the same test rows, if the data has no human raters.

Crowd workers did this for Li et al. 2023 (arXiv 2310.07849, section 5): their agreement measures how subjective a text
is.
"""

from collections.abc import Sequence

from tasks.config import SubjectivityConfig
from tasks.data.sample import test_sample
from tasks.labelling.interview import Interview
from tasks.labelling.question import labelling, roles
from tasks.labelling.runner import Replies, Report, run_interviews
from tasks.llm.calls import CompletionFunction
from tasks.llm.ledger import Ledger
from tasks.progress import Progress, announce
from tasks.records import Example, Rating, TaskData, content_key, readable
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.trial import item_key

KIND = "votes"
VOTES = "votes.jsonl"


def rated_rows(data: TaskData, config: SubjectivityConfig, test_rows: int | None) -> tuple[Example, ...]:
    """The rows that a panel labels, a part of the study's test rows; a larger choice contains a smaller one."""
    return test_sample(data, config.items if test_rows is None else min(config.items, test_rows))


def panel(data: TaskData, config: SubjectivityConfig, test_rows: int | None) -> tuple[Interview, ...]:
    """An interview for each annotator, by the name of the rater. Raises ``UserError`` if two have the same name."""
    rows = rated_rows(data, config, test_rows)
    annotators = roles(config.annotators, config.personas)
    return tuple(labelling(data.task, role.llm, rows, role.name, role.persona) for role in annotators)


def votes_key(interviews: Sequence[Interview]) -> str:
    """Content key of a panel's votes: the annotators and their questions."""
    return content_key([[interview.key, interview.name, interview.questions] for interview in interviews])


def read_votes(store: Store, key: str) -> tuple[Rating, ...]:
    """The votes of a finished panel, rater by rater. Raises ``FileNotFoundError``."""
    return store.rows(KIND, key, VOTES, Rating)


def stored_votes(
    data: TaskData, config: SubjectivityConfig, test_rows: int | None, settings: Settings
) -> tuple[Rating, ...] | None:
    """The votes of a finished panel; null if the store has none."""
    return _find(Store(settings.store_url), votes_key(panel(data, config, test_rows)))


def _find(store: Store, key: str) -> tuple[Rating, ...] | None:
    try:
        return read_votes(store, key)
    except FileNotFoundError:
        return None


def annotate(
    data: TaskData,
    config: SubjectivityConfig,
    test_rows: int | None,
    settings: Settings,
    ledger: Ledger | None = None,
    complete: CompletionFunction | None = None,
    report: Report = announce,
) -> tuple[Rating, ...]:
    """Have every annotator label the same test rows, or find the votes in the store; none without annotators.

    An answer that names no label is no vote; the share of such answers is stored for each rater. If the budget is
    reached, the votes so far are returned but not stored, and a later run continues. Raises ``RunError`` if an LLM
    fails.
    """
    interviews = panel(data, config, test_rows)
    if not interviews:
        return ()
    rows, store, key = rated_rows(data, config, test_rows), Store(settings.store_url), votes_key(interviews)
    total, name = len(rows) * len(interviews), readable(data.task.name, f"{len(interviews)} annotators")

    def progress(done: int, note: str) -> Progress:
        return Progress("annotate", name, done, total, note)

    stored = _find(store, key)
    if stored is not None:
        store.touch(KIND, key)
        report(progress(total, "from the store"))
        return stored
    found = run_interviews(interviews, progress, report, settings, ledger, complete)
    votes = [vote for replies in found for vote in _votes(replies, rows)]
    stopped = next((replies.stopped for replies in found if replies.stopped), "")
    if not stopped:
        unanswered = {replies.interview.name: replies.unanswered for replies in found}
        calls = [interview.key for interview in interviews]
        manifest = {"task": data.task.name, "items": len(rows), "unanswered": unanswered, "calls_keys": calls}
        store.put(KIND, key, manifest, {VOTES: votes})
    report(progress(total, stopped or f"{total - len(votes)} without an answer"))
    return tuple(votes)


def _votes(replies: Replies, rows: Sequence[Example]) -> list[Rating]:
    return [
        Rating(item_key(row.text), replies.interview.name, reply.option)
        for row, reply in zip(rows, replies.replies, strict=True)
        if reply is not None and reply.option is not None
    ]
