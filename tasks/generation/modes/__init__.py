"""All modes by name: every file in this folder is one, or a family of them with parameters in their names."""

import importlib
import pkgutil
from typing import TypeVar

from tasks.errors import unknown
from tasks.generation.mode import Family, Mode

T = TypeVar("T", Mode, Family)


def _found(kind: type[T]) -> dict[str, T]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {value.name: value for module in modules for value in vars(module).values() if isinstance(value, kind)}


MODES = _found(Mode)
FAMILIES = _found(Family)


def find_mode(name: str) -> Mode:
    """The mode of that name. Raises ``UserError`` with the allowed names when there is none."""
    if name in MODES:
        return MODES[name]
    family, *parameters = name.split("/")
    if family in FAMILIES:
        return FAMILIES[family].make(parameters, MODES)
    raise unknown("mode", name, [*MODES, *(item.usage for item in FAMILIES.values())])
