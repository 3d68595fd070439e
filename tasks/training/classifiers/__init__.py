"""Kinds of classifier: every file in this folder is one, found by looking. A classifier's name begins with its kind's
prefix; a name without a known prefix is an encoder that is fine-tuned.

A kind is a module with ``PREFIX``, ``check(config)``, ``resolve(config)`` (what shapes a training, for content keys,
without torch), ``fit_predict(training)``, which runs in a worker process, and ``SAVES``: the form in which it leaves
its model in ``training.save_to`` (``transformers`` or ``probe``), or null where it cannot.
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
"""Kinds by the prefix that selects them. The empty prefix, which every name has, is that of fine-tuning."""


def kind_of(config: ClassifierConfig) -> ModuleType:
    """The module that trains this classifier."""
    return KINDS[max((prefix for prefix in KINDS if config.model.startswith(prefix)), key=len)]


def check_classifier(config: ClassifierConfig) -> None:
    """Raises ``UserError`` for a classifier that cannot exist or options it does not have; cheap, no network."""
    kind_of(config).check(config)


def saved_form(config: ClassifierConfig) -> str | None:
    """The form in which a training can leave its model in a folder; null where it cannot."""
    return kind_of(config).SAVES or None


def is_fine_tuned(config: ClassifierConfig) -> bool:
    """Whether a training changes the encoder itself, which takes minutes: such a trial is shown by itself."""
    return saved_form(config) == "transformers"


def resolve(config: ClassifierConfig) -> dict[str, Any]:
    """Everything about a classifier that shapes its training, defaults filled in; for content keys."""
    return {"kind": kind_of(config).__name__.rpartition(".")[2], **kind_of(config).resolve(config)}
