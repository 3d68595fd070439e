"""All filters by name: every file in this folder is one, found by looking."""

import importlib
import pkgutil
from collections.abc import Sequence

from tasks.errors import unknown
from tasks.generation.filter import Filter

FIRST = "empty"
"""The filter that every synthesis applies before all others: they may take it that there is something to read."""
ORDER = (
    FIRST,
    "debris",
    "over_long",
    "language",
    "duplicate",
    "near_duplicate",
    "pool_copy",
    "rewrite",
    "test_leak",
)
"""The filters of a study that names none, in this order: cheap and common reasons first."""


def _found() -> dict[str, Filter]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.FILTER.name: module.FILTER for module in modules}


FILTERS = _found()


def filter_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """What a study's filters come to: ``FIRST`` and then those it names, in its order; ``ORDER`` where it names none.

    Raises ``UserError`` for an unknown name.
    """
    for name in names or ():
        if name not in FILTERS:
            raise unknown("filter", name, FILTERS)
    return ORDER if names is None else (FIRST, *(name for name in names if name != FIRST))


def find_filters(names: Sequence[str] | None = None) -> tuple[Filter, ...]:
    """The filters that ``filter_names`` comes to. Raises ``UserError`` for an unknown name."""
    return tuple(FILTERS[name] for name in filter_names(names))
