"""Names with parameters: a study's ``{near_duplicate: {jaccard: 0.8}}`` is ``near_duplicate/jaccard:0.8`` elsewhere.

This spelling is one string without brackets, so jobs, keys, forms, results and MLflow's names can hold it like a
plain name.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from tasks.config.fields import Frozen
from tasks.config.reading import parse
from tasks.errors import UserError, unknown

P = TypeVar("P", bound=Frozen)

VALUE = re.compile(r"[\w.+-]+")
"""A parameter's value as text: a number, a word."""


class NoParameters(Frozen):
    """For units that have no parameters."""


NONE = NoParameters()


def spell(name: str, parameters: Mapping[str, Any]) -> str:
    """A name with its parameters, in one order: ``near_duplicate/jaccard:0.8``."""
    return "/".join([name, *(f"{key}:{value}" for key, value in sorted(parameters.items()))])


def split(spelling: str) -> tuple[str, dict[str, str]]:
    """A name and its parameters: the inverse of ``spell``."""
    parts = spelling.split("/")
    given = [part for part in parts if ":" in part]
    return "/".join(part for part in parts if ":" not in part), dict(part.split(":", 1) for part in given)


def read_parameters(model: type[P], given: Mapping[str, str], what: str) -> P:
    """Parameters as a ``model``. Raises ``UserError`` for a wrong name or value; ``what`` says in the message whose
    parameters they are.
    """
    for name in given:
        if not model.model_fields:
            raise UserError(f"{what} has no parameters, but {name!r} is given")
        if name not in model.model_fields:
            raise unknown(f"parameter of {what}:", name, model.model_fields)
    return parse(model, dict(given), what)


def _spelled(value: Any) -> Any:
    """A plain name as it is; a name with parameters, as YAML has them, in one string."""
    if isinstance(value, str):
        return spell(*split(value)) if ":" in value else value
    if not isinstance(value, dict):
        return value  # pydantic says what it must be
    if len(value) != 1 or not isinstance(parameters := next(iter(value.values())), dict) or not parameters:
        raise ValueError("write a name, or a name with parameters such as {near_duplicate: {jaccard: 0.8}}")
    name = next(iter(value))
    for key, item in parameters.items():
        if isinstance(item, bool) or not isinstance(item, str | int | float) or not VALUE.fullmatch(str(item)):
            raise ValueError(f"{name}: parameter {key!r} must be a number or a word")
    return spell(str(name), parameters)


Named = Annotated[str, BeforeValidator(_spelled)]
"""A name, with or without parameters."""
