"""All modes by name: every file in this folder defines a mode, or a family of modes with parameters in their names."""

import functools
import importlib
import pkgutil
from collections.abc import Sequence
from typing import TypeVar

from tasks.config.parameters import split
from tasks.errors import UserError, unknown
from tasks.generation.mode import Family, Mode

T = TypeVar("T", Mode, Family)


def _found(kind: type[T]) -> dict[str, T]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {value.name: value for module in modules for value in vars(module).values() if isinstance(value, kind)}


MODES = _found(Mode)
FAMILIES = _found(Family)


@functools.cache  # used for every LLM call
def find_mode(spelling: str) -> Mode:
    """The mode of that name. Raises ``UserError`` for an unknown mode and for a wrong parameter."""
    name, given = split(spelling)
    if name in MODES:
        return MODES[name].with_parameters(given) if given else MODES[name]
    family, *parameters = spelling.split("/")
    if family in FAMILIES:
        return FAMILIES[family].make(parameters, MODES)
    raise unknown("mode", spelling, [*MODES, *(item.usage for item in FAMILIES.values())])


def find_modes(spellings: Sequence[str]) -> tuple[Mode, ...]:
    """The modes of a study. Raises ``UserError`` for an unknown one and for one that is listed twice."""
    found: dict[str, str] = {}
    for spelling in spellings:
        name = find_mode(spelling).name
        if name in found:
            raise UserError(f"modes {found[name]!r} and {spelling!r} are the same; leave one out")
        found[name] = spelling
    return tuple(map(find_mode, found))
