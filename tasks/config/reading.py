"""Reading and parsing YAML files: limits on size and nesting, no secrets, one message for everything that is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from tasks.config.fields import LANGUAGE, NAME, Frozen
from tasks.errors import UserError
from tasks.secrets import holds_secret, secret_format, secrets, values_to_find

M = TypeVar("M", bound="Frozen")
MOST_BYTES, MOST_VALUES, DEEPEST = 4 * 1024 * 1024, 200_000, 40
"""Limits on a YAML file: bytes, values with aliases written out, levels of nesting. A study or task of a thousand
labels needs far less."""

PATTERNS = {
    NAME: "use letters, digits, '.', '_' and '-' only, and begin with a letter or digit",
    LANGUAGE: "write a code of two letters, such as en or de",
}
"""What the patterns of fields mean."""


class _Loader(yaml.SafeLoader):
    """Refuses aliases of aliases and deep nesting, with which a few lines could use all memory."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._sizes: dict[int, int] = {}
        self._depth = self._values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node. An alias counts with all values that it stands for."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError(f"it nests deeper than {DEEPEST}")
        alias, before = self.check_event(yaml.AliasEvent), self._values
        node = super().compose_node(parent, index)
        if alias and id(node) not in self._sizes:
            raise yaml.YAMLError("an alias is inside the value that it stands for")
        self._values += self._sizes[id(node)] if alias else 1
        self._sizes.setdefault(id(node), self._values - before)
        if self._values > MOST_VALUES:
            raise yaml.YAMLError(f"it holds more than {MOST_VALUES} values")
        self._depth -= 1
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises ``UserError`` if it is missing, not UTF-8, malformed, too large, not a mapping, or contains a secret.
    Comments are checked, too, because Prefect shows the first one of a study or watch.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UserError(f"{str(path)!r} is larger than {MOST_BYTES >> 20} MiB, the limit for a study or task file")
        text = content.decode("utf-8-sig")
        value = yaml.load(text, _Loader)
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = str(getattr(error, "problem", error)).partition("\n")[0]
        hint = "; put a text that contains ': ' into quotes" if problem.startswith("mapping values") else ""
        raise UserError(f"{str(path)!r} is not valid YAML{where}: {problem}{hint}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, the 31st of February
        raise UserError(f"{str(path)!r} holds a value that YAML cannot read: {error}") from None
    if value is None:
        raise UserError(f"{str(path)!r} is empty; write fields such as `name: mine` into it")
    if not isinstance(value, dict):
        raise UserError(
            f"{str(path)!r} must be a mapping of fields such as `name: mine`, but is a {type(value).__name__}"
        )
    try:
        json.dumps(value, ensure_ascii=False, skipkeys=True, default=str).encode()
    except UnicodeEncodeError:  # YAML has escapes for it, but no prompt, key or file can contain it
        raise UserError(f"{str(path)!r} contains an invalid character (a lone surrogate); remove it") from None
    refuse_secrets(value, path.name)
    values = values_to_find()
    for number, line in enumerate(text.split("\n"), start=1):
        comment = line.partition("#")[2]  # links in fields were checked with their fields
        if kind := secret_format(line, values, links=False) or secret_format(comment, values):
            raise _secret_error(path.name, f"line {number}", kind)
    return value


def refuse_secrets(value: Any, where: str) -> None:
    """Raises one ``UserError`` that names the fields of a study, task, watch or form that contain a secret."""
    if found := dict(secrets(value)):
        raise _secret_error(where, " and ".join(f"field {place!r}" for place in found), next(iter(found.values())))


def _secret_error(where: str, place: str, kind: str) -> UserError:
    return UserError(
        f"{where}: {place} holds what looks like a secret ({kind}), which whoever sees the file, Prefect, MLflow or a "
        "report would see; put it into the environment (OPENAI_API_KEY for openai/..., or a variable that api_key_env "
        "names)"
    )


def parse(model: type[M], value: dict[str, Any], where: str) -> M:
    """``value`` as a ``model``; raises one ``UserError`` that names each bad field, its value and what is allowed.

    A secret in it is refused before anything else, because messages repeat values.
    """
    refuse_secrets(value, where)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(_complaint(model, item) for item in _causes(error))) from None


def _causes(error: ValidationError) -> list[Any]:
    """The errors, without lists that pydantic calls too short because some of their entries are wrong."""
    items = error.errors()
    wrong = {item["loc"][:-1] for item in items}
    return [item for item in items if item["type"] != "too_short" or item["loc"] not in wrong]


def _complaint(model: type[Frozen], item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(model.model_fields)) if len(item["loc"]) == 1 else "see the documentation"
        if holds_secret(str(item["loc"][-1])):
            return f"unknown field {place!r}; a key stays in the environment, and api_key_env names its variable"
        return f"unknown field {place!r}. Allowed: {allowed}"
    if item["type"] == "missing":
        return f"field {place!r} is missing"
    message = _advice(item["type"], item.get("ctx", {})) or item["msg"].removeprefix("Value error, ")
    if isinstance(item["input"], dict | list | tuple):  # not repeated, because it may be long
        return f"field {place!r}: {message}" if place else message
    return f"field {place!r}: {message} (got {item['input']!r})"


def _advice(kind: str, context: Mapping[str, Any]) -> str | None:
    """What to write instead, where pydantic's own message for an error of this kind is hard to understand."""
    match kind:
        case "tuple_type":
            return "write a list, such as [a, b]"
        case "dict_type" | "model_type":
            return "write a mapping, such as {name: value}"
        case "string_type":
            return "write a text, in quotes if YAML reads it as something else"
        case "too_short":
            return f"give at least {context['min_length']}"
        case "string_pattern_mismatch":
            return PATTERNS.get(context["pattern"])
        case "union_tag_invalid":
            return f"{context['discriminator']} {context['tag']!r} is unknown. Allowed: {context['expected_tags']}"
        case "union_tag_not_found":
            return f"field {context['discriminator']} is missing"
    return None
