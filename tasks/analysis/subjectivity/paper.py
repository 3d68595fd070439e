"""Numbers that Li et al. (2023, arXiv 2310.07849) published, to show beside the numbers of a study.

Only numbers that public descriptions of the paper confirm are listed. They were measured with GPT-3.5-Turbo and 3,000
texts for each label. A study usually has another LLM and other sizes, so they are context and no target.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.records import Comparison

SOURCE = "Li et al. 2023 (arXiv 2310.07849): GPT-3.5-Turbo, 3,000 texts for each label"


@dataclass(frozen=True, slots=True)
class Published:
    """One published accuracy."""

    task: str
    """Name of a shipped task."""
    mode: str
    """Name of the mode in synthgap."""
    classifier: str | None
    """``BERT`` or ``RoBERTa``; null if the source does not name it."""
    accuracy: float
    """0 to 1."""
    source: str = SOURCE
    """The paper, and how the number was measured."""


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
    """The published numbers for the arms of a study, each once."""
    arms = (item.arm for item in comparisons)
    return tuple(dict.fromkeys(number for arm in arms for number in published(arm.task, arm.mode, arm.classifier.name)))


def published(task: str, mode: str, classifier: str) -> tuple[Published, ...]:
    """Published numbers for a task and mode: those of the classifier's family, or all if it has none.

    ``classifier`` is the name of a model, such as ``google-bert/bert-base-uncased``.
    """
    known = tuple(number for number in NUMBERS if (number.task, number.mode) == (task, mode))
    name = classifier.lower().rsplit("/", 1)[-1]
    family = next((family for family, pattern in FAMILIES.items() if pattern.match(name)), None)
    own = tuple(number for number in known if number.classifier == family and family)
    return own or known
