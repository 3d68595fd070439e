"""Kinds of classifier: every file in this folder defines one. A classifier's name begins with the prefix of its kind; a
name without a known prefix is an encoder that is fine-tuned.

A kind is a module with ``PREFIX``, ``check(config)``, ``resolve(config)`` (everything that affects a training, for
content keys, without torch), ``fit_predict(training)``, which runs in a worker process, and ``SAVES``: the form in
which it writes its model to ``training.save_to`` (``transformers`` or ``probe``), or null if it cannot.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from tasks.config import ClassifierConfig


def _found() -> dict[str, ModuleType]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.PREFIX: module for module in modules}


KINDS = _found()
"""Kinds by the prefix that selects them. Fine-tuning has the empty prefix, which every name begins with."""


def kind_of(config: ClassifierConfig) -> ModuleType:
    """The module that trains this classifier."""
    return KINDS[max((prefix for prefix in KINDS if config.model.startswith(prefix)), key=len)]


def check_classifier(config: ClassifierConfig) -> None:
    """Raises ``UserError`` for an impossible classifier name or options it does not have; fast, without network."""
    kind_of(config).check(config)


def saved_form(config: ClassifierConfig) -> str | None:
    """The form in which a training can write its model to a folder; null if it cannot."""
    return kind_of(config).SAVES or None


def is_fine_tuned(config: ClassifierConfig) -> bool:
    """Whether a training changes the encoder's weights. It takes minutes, so each such trial has its own MLflow run."""
    return saved_form(config) == "transformers"


def resolve(config: ClassifierConfig) -> dict[str, Any]:
    """Everything about a classifier that affects its training, including defaults; for content keys."""
    return {"kind": kind_of(config).__name__.rpartition(".")[2], **kind_of(config).resolve(config)}
