"""Self-BLEU: how much each text shares with the other texts of its set.

One table holds the two highest counts of each n-gram. A text is compared with the highest count, or with the second one
if the highest is its own. Therefore the time grows linearly with the number of texts. One BLEU call for each text would
make it grow quadratically.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams

from tasks.analysis.measures.sampling import SEED, Measured, mean_of_draws
from tasks.analysis.measures.words import words

ORDER = 4
SIZE, DRAWS = 500, 8
"""Size of a set (the measure grows with the size), and number of sets that are drawn from larger ones."""

Gram = tuple[str, ...]
Counted = tuple[Counter[Gram], int]


def self_bleu(texts: Sequence[str], *, size: int = SIZE, draws: int = DRAWS) -> Measured | None:
    """Mean BLEU (0 to 1) of each text with all others as references (Zhu et al. 2018). Null for fewer than two texts.

    For more than ``size`` texts, it is the mean over ``draws`` random sets of ``size`` texts. BLEU is sacrebleu's for
    sentences: n-grams of up to four words, or of the length of the text; exponential smoothing.
    """
    if len(texts) < 2:
        return None
    if len(texts) <= size:
        return Measured(_self_bleu(texts))
    rng = np.random.default_rng(SEED)
    chosen = (rng.choice(len(texts), size, replace=False) for _ in range(draws))
    return mean_of_draws(np.array([_self_bleu([texts[i] for i in rows]) for rows in chosen]))


def _self_bleu(texts: Sequence[str]) -> float:
    counted: list[Counted] = [extract_all_word_ngrams(" ".join(words(text)), 1, ORDER) for text in texts]
    highest = _two_highest(counted)
    lengths = Counter(length for _, length in counted)
    return sum(_bleu(one, highest, lengths) for one in counted) / len(texts)


def _two_highest(counted: Sequence[Counted]) -> dict[Gram, tuple[int, int]]:
    highest: dict[Gram, tuple[int, int]] = {}
    for grams, _ in counted:
        for gram, count in grams.items():
            first, second = highest.get(gram, (0, 0))
            highest[gram] = (count, first) if count > first else (first, max(second, count))
    return highest


def _bleu(one: Counted, highest: dict[Gram, tuple[int, int]], lengths: Counter[int]) -> float:
    grams, length = one
    correct, total = [0] * ORDER, [0] * ORDER
    for gram, count in grams.items():
        first, second = highest[gram]
        total[len(gram) - 1] += count
        correct[len(gram) - 1] += min(count, second if count == first else first)
    others = (other for other, times in lengths.items() if times > (other == length))
    closest = min(others, key=lambda other: (abs(other - length), other))
    score = BLEU.compute_bleu(correct, total, length, closest, smooth_method="exp", effective_order=True)
    return float(score.score / 100)
