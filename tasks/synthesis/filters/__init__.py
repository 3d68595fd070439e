"""All filters by name: every file in this folder is one, found by looking."""

import importlib
import pkgutil
from collections.abc import Sequence

from tasks.errors import unknown
from tasks.synthesis.filter import Filter

ORDER = ("empty", "debris", "over_long", "duplicate", "pool_copy", "test_leak")
"""The filters that every synthesis applies, in this order: cheap and common reasons first."""


def _found() -> dict[str, Filter]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.FILTER.name: module.FILTER for module in modules}


FILTERS = _found()


def find_filters(names: Sequence[str] = ORDER) -> tuple[Filter, ...]:
    """The filters of those names, in that order. Raises ``UserError`` for an unknown one."""
    for name in names:
        if name not in FILTERS:
            raise unknown("filter", name, FILTERS)
    return tuple(FILTERS[name] for name in names)
