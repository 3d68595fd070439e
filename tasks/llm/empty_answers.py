"""Answers in a row without any text. After enough of them no more calls are made, because each of them is paid for.

They are counted in the order of the calls, not of the answers, so that a resumed run ends in the same way from its
journal alone. A text that filters reject counts as a text.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.llm.journal import CallTotals, Entry

UNABLE = r"(?:can(?:'t|’t|not)|won(?:'t|’t)|unable to|not able to)"
ACTS = r"(?:assist|help|generate|create|write|provide|fulfil|comply)"
AM = r"i(?:'m|’m| am)"
REFUSAL = re.compile(
    rf"\b(?:{AM} (?:sorry|afraid)\b.{{0,40}}\b{UNABLE} {ACTS}|(?:i|{AM}) {UNABLE} {ACTS}"
    rf"|as an? (?:ai|artificial intelligence|language model)\b|{AM} an? (?:ai|language model)\b)",
    re.IGNORECASE | re.DOTALL,
)
"""An answer that declines to write a text."""
IN_A_ROW = 10
"""Answers in a row without a text after which no more calls are made."""
CHANCE = 1e-6
"""If answers without a text were common before: the limit is the number in a row that occurs by chance once in a
million times."""


class EmptyAnswers:
    """Counts answers in a row without a text."""

    def __init__(self) -> None:
        self.with_text = 0
        """Answers with a text."""
        self._others = 0  # answers without a text before the last answer with one
        self._last: list[str] = []

    @property
    def in_a_row(self) -> int:
        """Number of answers without a text since the last one with a text."""
        return len(self._last)

    def add(self, entry: Entry, texts: Sequence[str]) -> None:
        """Count the next answer and the texts in it."""
        if has_text(texts):
            self.with_text += 1
            self._others += len(self._last)
            self._last.clear()
        else:
            self._last.append(_kind(entry, texts))

    @property
    def enough(self) -> bool:
        """Whether there are too many in a row to be chance."""
        share = self._others / (self._others + self.with_text + 1)
        needed = max(IN_A_ROW, math.ceil(math.log(CHANCE) / math.log(share))) if share else IN_A_ROW
        return len(self._last) >= needed

    def reason(self, max_tokens: int, paid: CallTotals, journal: Path) -> str:
        """Why no more calls are made, what these calls cost, and how to repeat them."""
        kinds = Counter(self._last)
        told = {
            "length": f"{kinds['length']} cut off at {max_tokens} tokens",
            "refusal": f"{kinds['refusal']} refusal{'s' if kinds['refusal'] > 1 else ''}",
            "empty": f"{kinds['empty']} empty",
        }
        listed = ", ".join(told[kind] for kind in told if kinds[kind])
        hint = "; a larger max_tokens leaves room for a text" if kinds["length"] else ""
        again = f"to ask again, change max_tokens, or move {journal.parent.name}/{journal.name} out of SYNTHGAP_HOME"
        stopped = f"stopped after {len(self._last)} answers in a row without a text ({listed})"
        return f"{stopped}; {_spent(paid)}{hint}; {again}"


def has_text(texts: Iterable[str]) -> bool:
    """Whether one of the texts is not empty and no refusal."""
    return any(text.strip() and not REFUSAL.search(text) for text in texts)


def _kind(entry: Entry, texts: Iterable[str]) -> str:
    if any(answer.finish_reason == "length" for answer in entry.answers):
        return "length"
    declined = any(map(str.strip, texts)) or any(answer.finish_reason == "content_filter" for answer in entry.answers)
    return "refusal" if declined else "empty"


def _spent(paid: CallTotals) -> str:
    if paid.cost_usd is None:
        return f"spent {paid.tokens_in + paid.tokens_out:,} tokens at an unknown price"
    return f"spent ${paid.cost_usd:.2f}" if paid.cost_usd >= 0.01 else f"spent ${paid.cost_usd:.2g}"
