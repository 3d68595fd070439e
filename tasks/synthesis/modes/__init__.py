"""All modes by name: every file in this folder is one, found by looking."""

import importlib
import pkgutil

from tasks.errors import unknown
from tasks.synthesis.mode import Mode


def _found() -> dict[str, Mode]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    modes = [value for module in modules for value in vars(module).values() if isinstance(value, Mode)]
    return {mode.name: mode for mode in modes}


MODES = _found()


def find_mode(name: str) -> Mode:
    """The mode of that name. Raises ``UserError`` with the allowed names when there is none."""
    if name not in MODES:
        raise unknown("mode", name, MODES)
    return MODES[name]
