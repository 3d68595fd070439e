"""A rewrite of a real text that prompts may show: the same words in the same order, some of them replaced.

``pool_copy`` compares characters and finds copies. This filter compares words and finds texts that were rewritten word
by word. The order of words is compared only with pool texts that share enough words in any order. For this comparison
each word is encoded as one character.
"""

from pydantic import Field
from rapidfuzz import process
from rapidfuzz.distance import Indel

from tasks.config import Frozen
from tasks.generation.filter import Check, Filter, FilterContext, normalise, quote
from tasks.generation.overlap import Overlap
from tasks.records import Row

LONG_ENOUGH = 8
"""Fewest words of a pool text. In shorter ones, common phrases reach a ROUGE-L of 0.7 by chance, such as "see you at
the pub" and "see you at the gym later". Compared with a pool of 500 others, 0 to 0.5% of real training texts are
rewrites by this rule, 1 to 3% if real texts follow templates or are repeated (SMS spam, company news, definitions,
retweets)."""
UNKNOWN = "\0"
"""Encodes every word that no pool text has, so that it matches none."""


class Parameters(Frozen):
    """What a study may change."""

    rouge_l: float = Field(default=0.7, ge=0.3, le=1)
    """Least ROUGE-L at which a text is rejected. 0.7 is the limit for two instructions in Self-Instruct (Wang et al.
    2023, section 2.2)."""


def similarity(one: list[str], other: list[str]) -> float:
    """ROUGE-L F-measure of two texts' words, 0 to 1: 2 LCS / (m + n), precision and recall weighted alike.

    Source: C.-Y. Lin, ROUGE: A Package for Automatic Evaluation of Summaries, ACL 2004 workshop, section 3.1. It
    equals the normalised similarity by insertions and deletions, (m + n - distance) / (m + n).
    """
    return float(Indel.normalized_similarity(one, other))


def _build(context: FilterContext, rouge_l: float) -> Check:
    letters: dict[str, str] = {}

    def spell(words: list[str]) -> str:
        return "".join(letters.setdefault(word, chr(len(letters) + 1)) for word in words)

    pool = {example.text: normalise(example.text).split() for example in context.pool}
    spelled = [(text, spell(words)) for text, words in pool.items() if len(words) >= LONG_ENOUGH]
    bags = Overlap(spelling for _, spelling in spelled)

    def likely(text: str) -> dict[str, str]:
        """Pool texts that share enough words: a common subsequence has at most as many words as are shared."""
        enough = rouge_l * (bags.sizes + len(text)) / 2 - 1  # one less, to be safe from rounding errors
        return dict(spelled[i] for i in (bags.shared(text) >= enough).nonzero()[0])

    def check(row: Row) -> str | None:
        text = "".join(letters.get(word, UNKNOWN) for word in normalise(row.text).split())
        near = process.extractOne(text, likely(text), scorer=Indel.normalized_similarity, score_cutoff=rouge_l)
        return f"ROUGE-L {near[1]:.2f} with pool text {quote(near[2])}" if near else None

    return check


FILTER = Filter("rewrite", version=1, step="kept", build=_build, parameters=Parameters())
