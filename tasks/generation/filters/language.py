"""A text in another language than the task's, according to py3langid (based on langid.py, Lui and Baldwin 2012), which
needs no network: its package includes a model of 140 languages.

Real texts contain names, foreign words and slang, so a text is rejected only by a wide margin.
"""

import functools
from typing import TYPE_CHECKING

from tasks.config import TaskConfig
from tasks.errors import UserError, unknown
from tasks.generation.filter import Check, Filter, FilterContext, normalise, quote
from tasks.records import Row

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LONG_ENOUGH = 20
"""Least bytes of a text's letters and digits in UTF-8: about four words in Latin script, seven Chinese characters."""
MARGIN = 100.0
"""How many times likelier another language must be than the task's. Of the real training texts of English tasks, it
rejects 4 of 4,103 of sms_spam (0.10%), 1 of 3,866 of financial_phrasebank (0.03%), 2 of 12,000 of humor and 1 of 6,311
of ag_news (0.02%), none of headline_sarcasm, imdb (2,000), reddit_emotion, reddit_emotion_ekman, relation,
tweet_emotion and tweet_irony. Seven of these eight are indeed in another language."""
NO_LANGUAGE = "zxx"
"""ISO 639-2 code for no linguistic content, such as codes and addresses. It does not count as another language."""
CODES = (
    "af am an ar as az ba be bg bn br bs ca cs cy da de dz el en eo es et eu fa fi fo fr fy ga gd gl gu ha he hi hr ht "
    "hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lg ln lo lt lv mg mk ml mn mr ms mt my ne nl nn no oc om or pa "
    "pl ps pt qu ro ru rw sa se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz vi vo wa xh yo zh zu"
)
LANGUAGES = frozenset(CODES.split())
"""Languages of the model that have an ISO 639-1 code, listed so that a plan need not load the model."""
ODD_POOL = 10
"""Fewest pool texts in another language at which the task's language counts as wrong. They must also be at least half
of the pool."""


@functools.cache
def identifier() -> "LanguageIdentifier":
    """The model, which is loaded once in half a second. Its probabilities are calibrated across text lengths."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def foreign(text: str, language: str) -> str | None:
    """The language that a text is clearly written in; null if that is ``language`` or unclear."""
    if len(normalise(text).replace(" ", "").encode()) < LONG_ENOUGH:
        return None
    best, likely = identifier().classify(text)
    if best in (language, NO_LANGUAGE) or likely < MARGIN * dict(identifier().rank(text))[language]:
        return None
    return str(best)


def _check_task(task: TaskConfig) -> None:
    """Raises ``UserError`` for a task in a language that the model does not have."""
    if task.language not in (None, *LANGUAGES):
        raise unknown(f"language of task {task.name!r}:", task.language, LANGUAGES)


def _build(context: FilterContext) -> Check:
    """The check. Raises ``UserError`` for an unknown language, or if most pool texts are in another language."""
    _check_task(context.task)
    language = context.task.language
    if language is None:
        return lambda row: None
    others = [found for example in context.pool if (found := foreign(example.text, language))]
    if len(others) >= max(ODD_POOL, len(context.pool) / 2):
        raise UserError(
            f"task {context.task.name!r} says language {language!r}, but most of its real texts are not in it, such as "
            f"one in {others[0]!r}: set 'language' in the task's YAML, or null to accept any"
        )

    def check(row: Row) -> str | None:
        found = foreign(row.text, language)
        return f"written in {found!r}, not {language!r}: {quote(row.text)}" if found else None

    return check


FILTER = Filter("language", version=1, step="valid", build=_build, check_task=_check_task)
