"""Numbers that Li et al. (2023, arXiv 2310.07849) published, to be shown beside a study's own.

Only numbers that could be confirmed in public descriptions of the paper are listed. They were measured with
GPT-3.5-Turbo and 3,000 texts a label. A study usually has another LLM and other sizes, so they are context, no target.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.records import Comparison

SOURCE = "Li et al. 2023 (arXiv 2310.07849): GPT-3.5-Turbo, 3,000 texts a label"


@dataclass(frozen=True, slots=True)
class Published:
    """One published accuracy."""

    task: str
    """Name of a shipped task."""
    mode: str
    """Mode, by its name here."""
    classifier: str | None
    """``BERT`` or ``RoBERTa``; null if the source does not say which."""
    accuracy: float
    """0 to 1."""
    source: str = SOURCE
    """Paper, and how it obtained the number."""


NUMBERS = (
    Published("ag_news", "real", "BERT", 0.953),
    Published("ag_news", "zero_shot", "BERT", 0.893),
    Published("ag_news", "few_shot", "BERT", 0.916),
    Published("ag_news", "real", "RoBERTa", 0.946),
    Published("ag_news", "zero_shot", "RoBERTa", 0.886),
    Published("ag_news", "few_shot", "RoBERTa", 0.929),
    Published("headline_sarcasm", "real", None, 0.903),
    Published("headline_sarcasm", "zero_shot", None, 0.512),
)
FAMILIES = {"BERT": re.compile(r"bert-(base|large)\b"), "RoBERTa": re.compile(r"roberta-(base|large)\b")}


def beside(comparisons: Iterable[Comparison]) -> tuple[Published, ...]:
    """Published numbers for a study's cells, each once."""
    arms = (item.arm for item in comparisons)
    return tuple(dict.fromkeys(number for arm in arms for number in published(arm.task, arm.mode, arm.classifier.name)))


def published(task: str, mode: str, classifier: str) -> tuple[Published, ...]:
    """Published numbers for a cell: those of the classifier's family, otherwise all; empty if there are none.

    ``classifier`` is a model's name, such as ``google-bert/bert-base-uncased``.
    """
    known = tuple(number for number in NUMBERS if (number.task, number.mode) == (task, mode))
    name = classifier.lower().rsplit("/", 1)[-1]
    family = next((family for family, pattern in FAMILIES.items() if pattern.match(name)), None)
    own = tuple(number for number in known if number.classifier == family and family)
    return own or known
