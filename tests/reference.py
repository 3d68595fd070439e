"""The tables of fields, modes and filters in docs/, from the code that they describe.

``python -m tests.reference`` writes them anew; ``tests/test_docs.py`` compares them.
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml
from pydantic import BaseModel

from tasks.config import (
    ClassifierConfig,
    Columns,
    FileSource,
    GeneratorConfig,
    HubSource,
    ImportConfig,
    PriceConfig,
    ProviderConfig,
    StudyConfig,
    SubjectivityConfig,
    TaskConfig,
    TextColumns,
    WatchConfig,
    WheelSource,
)
from tasks.generation.filters import FILTERS, ORDER
from tasks.generation.modes import FAMILIES, MODES
from tasks.reporting.reference import docstrings_of

DOCS = Path(__file__).parents[1] / "docs"
FIELDS: dict[str, tuple[type[BaseModel], ...]] = {
    "Study": (StudyConfig,),
    "Generator": (GeneratorConfig,),
    "Price": (PriceConfig,),
    "Classifier": (ClassifierConfig,),
    "Import": (ImportConfig, TextColumns),
    "Subjectivity": (SubjectivityConfig,),
    "Task": (TaskConfig,),
    "Source with `kind: files`": (FileSource, Columns, TextColumns),
    "Source with `kind: hub`": (HubSource, Columns, TextColumns),
    "Source with `kind: wheel`": (WheelSource,),
    "Watch": (WatchConfig,),
    "Provider of a watch": (ProviderConfig,),
}
"""What a YAML file is made of: its types, each followed by those that it inherits fields from."""
LONGEST_DEFAULT = 50


def fields() -> str:
    """A table for each part of a study, task or watch file."""
    return "\n\n".join(
        f"### {title}\n\n{_table(('field', 'default', 'meaning'), _rows(types))}" for title, types in FIELDS.items()
    )


def modes() -> str:
    """Every mode, and the families of modes that have parameters in their names."""
    rows = [(f"`{mode.name}`", mode.summary, _parameters(mode.parameters)) for mode in MODES.values()]
    rows += [(f"`{family.usage}`", _about(family.make), "in its name") for family in FAMILIES.values()]
    return _table(("mode", "training rows", "parameters"), rows)


def filters() -> str:
    """Every filter, the default ones in their order."""
    rows = (
        (
            f"`{name}`",
            _about(FILTERS[name].build),
            "yes" if name in ORDER else "no",
            _parameters(FILTERS[name].parameters),
        )
        for name in [*ORDER, *(name for name in FILTERS if name not in ORDER)]
    )
    return _table(("filter", "rejects", "used by default", "parameters"), rows)


TABLES = {"STUDIES.md": {"fields": fields}, "MODES.md": {"modes": modes, "filters": filters}}


def renewed(text: str, page: str) -> str:
    """The text of a page with its tables as the code says they are."""
    for name, make in TABLES[page].items():
        start, end = f"<!-- {name}: written by tests/reference.py -->", f"<!-- end of {name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"{page} needs one line {start!r} and one line {end!r}")
        before, after = text.split(start)[0], text.split(end)[1]
        text = f"{before}{start}\n\n{make()}\n\n{end}{after}"
    return text


def _rows(types: tuple[type[BaseModel], ...]) -> Iterable[tuple[str, ...]]:
    meanings = {name: meaning for kind in reversed(types) for name, meaning in _docstrings(kind).items()}
    for name, field in types[0].model_fields.items():
        if name in meanings:
            default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
            yield f"`{name}`", default, meanings[name]


def _parameters(defaults: BaseModel) -> str:
    """Those of a mode or filter, with their defaults and meanings."""
    meanings = _docstrings(type(defaults))
    return " ".join(f"`{name}` ({_default(value)}): {meanings[name]}" for name, value in defaults)


def _docstrings(kind: type[BaseModel]) -> dict[str, str]:
    """The string below each field of a class, as Markdown of one line."""
    return {name: _markdown(text) for name, text in docstrings_of(kind).items()}


def _default(value: object) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, tuple):
        items = [item.model if hasattr(item, "model") else item for item in value]
        value = items if len(str(items)) <= LONGEST_DEFAULT else f"{len(items)} of them"
        if isinstance(value, str):
            return value
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).removesuffix("\n...\n").strip()
    return f"`{text}`"


def _about(function: Callable[..., object]) -> str:
    """The first paragraph of what its module says of itself."""
    return _markdown((sys.modules[function.__module__].__doc__ or "").split("\n\n")[0])


def _markdown(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("``", "`").replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for page in TABLES:
        path = DOCS / page
        path.write_text(renewed(path.read_text(encoding="utf-8"), page), encoding="utf-8")
