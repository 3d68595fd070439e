"""All filters by name: every file in this folder defines one."""

import importlib
import pkgutil
from collections.abc import Sequence

from tasks.config.parameters import split
from tasks.errors import UserError, unknown
from tasks.generation.filter import Filter

FIRST = "empty"
"""The filter that every synthesis applies first, so that the others need not handle empty texts."""
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
"""The default filters of a study, in this order: fast filters and common reasons first."""


def _found() -> dict[str, Filter]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.FILTER.name: module.FILTER for module in modules}


FILTERS = _found()


def find_filters(spellings: Sequence[str] | None = None) -> tuple[Filter, ...]:
    """A study's filters: ``FIRST``, then those that it names, in its order; ``ORDER`` if ``spellings`` is null.

    Raises ``UserError`` for an unknown name or parameter, and for a filter that is listed twice.
    """
    found: dict[str, Filter] = {FIRST: FILTERS[FIRST]}
    for spelling in ORDER if spellings is None else spellings:
        name, given = split(spelling)
        if name not in FILTERS:
            raise unknown("filter", name, FILTERS)
        if name in found and name != FIRST:
            raise UserError(f"filter {name!r} is listed twice, the second time as {spelling!r}")
        found[name] = FILTERS[name].with_parameters(given) if given else FILTERS[name]
    return tuple(found.values())


def filter_names(spellings: Sequence[str] | None) -> tuple[str, ...]:
    """The names of a study's filters, with the parameters that are not the default."""
    return tuple(item.spelling for item in find_filters(spellings))
