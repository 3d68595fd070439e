"""Kinds of classifier, a file each. A classifier's name says its kind: a prefix, else it is fine-tuned.

A kind is a module with ``check(config)``, ``resolve(config)`` (what shapes a training, for content keys, without
torch), ``fit_predict(training)``, which runs in a worker process, and ``SAVES`` (whether it can leave its model).
"""

from types import ModuleType
from typing import Any

from tasks.config import ClassifierConfig
from tasks.training.classifiers import finetune, probe

PREFIXES: dict[str, ModuleType] = {"probe/": probe}
"""Kinds that a name's prefix selects."""

KINDS: tuple[ModuleType, ...] = (finetune, *PREFIXES.values())


def kind_of(config: ClassifierConfig) -> ModuleType:
    """The module that trains this classifier."""
    return next((kind for prefix, kind in PREFIXES.items() if config.model.startswith(prefix)), finetune)


def check_classifier(config: ClassifierConfig) -> None:
    """Raises ``UserError`` for a classifier that cannot exist or options it does not have; cheap, no network."""
    kind_of(config).check(config)


def can_save(config: ClassifierConfig) -> bool:
    """Whether a training can leave its model in a folder."""
    return bool(kind_of(config).SAVES)


def resolve(config: ClassifierConfig) -> dict[str, Any]:
    """Everything about a classifier that shapes its training, defaults filled in; for content keys."""
    return {"kind": kind_of(config).__name__.rpartition(".")[2], **kind_of(config).resolve(config)}
