"""The values of a study in a form of Prefect's user interface, and the study that a filled-in form gives.

A form has only the names of models. A name from the study file keeps all its settings in the file (address,
temperature, price, hyper-parameters). Any other name means that model with its defaults.

A form allows less than a study file: no address, no key, no parameter, and no path outside the folders of studies,
because error messages quote the content of files.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.config import ClassifierConfig, GeneratorConfig, Study, StudyConfig, parse
from tasks.data import catalog
from tasks.errors import UserError
from tasks.training.classifiers.probe import PREFIX

FIELDS = ("modes", "seeds", "rows_per_label", "budget_usd", "tolerance")
"""Fields of a study that a form shows unchanged."""


def form_values(study: Study) -> dict[str, Any]:
    """A study's values for its form, as plain JSON."""
    config = study.config.model_dump(mode="json")
    known = catalog.names()
    return {
        "tasks": [task for task in config["tasks"] if task in known],
        "own_tasks": [task for task in config["tasks"] if task not in known],
        "generators": _unique(item["model"] for item in config["generators"]),
        "classifiers": _unique(item["model"] for item in config["classifiers"]),
        **{name: config[name] for name in FIELDS},
    }


def overridden(study: Study, values: Mapping[str, Any], home: Path) -> Study:
    """The study with the ``values`` of a form (in the form of ``form_values``) instead of those of the file.

    New paths must be in the folder of the file or in ``home``. Raises ``UserError`` with each value that cannot be
    used.
    """
    for name in (*values["tasks"], *values["own_tasks"]):
        if name not in study.config.tasks and name not in catalog.names():
            _inside("own_tasks", name, study.folder, home)
    classifiers = [_placed(name, study, home) for name in values["classifiers"]]
    asked = [*values["tasks"], *values["own_tasks"]]
    fields = {
        **study.config.model_dump(),
        **{name: values[name] for name in FIELDS},
        "tasks": sorted(asked, key=(*study.config.tasks, *asked).index),  # in the file's order, new ones last
        "generators": _entries(values["generators"], study.config.generators),
        "classifiers": _entries(classifiers, study.config.classifiers),
    }
    return Study(config=parse(StudyConfig, fields, f"study {study.config.name}"), folder=study.folder)


def _inside(field: str, name: str, folder: Path, home: Path) -> Path:
    """The target of a form's path, after ``~`` and links. A path outside the two folders is refused and not read."""
    found = None
    with contextlib.suppress(RuntimeError, ValueError):  # ~name of an unknown user; a null byte
        found = (folder / Path(name).expanduser()).resolve()
    if found is None or not any(found.is_relative_to(place.resolve()) for place in (folder, home)):
        raise UserError(
            f"field {field!r}: {name!r} is neither in the study's folder nor in {str(home)!r}, and a form reads files "
            "there only; write the path into the study file"
        )
    return found


def _placed(name: str, study: Study, home: Path) -> str:
    """A classifier's name unchanged, or the folder of a local model (``./model``) as an absolute path."""
    model = name.removeprefix(PREFIX)
    if name in {item.model for item in study.config.classifiers} or not model.startswith((".", "/", "~")):
        return name
    return name.removesuffix(model) + str(_inside("classifiers", model, study.folder, home))


def _entries(names: Sequence[str], listed: Sequence[GeneratorConfig | ClassifierConfig]) -> list[Any]:
    """All entries of the file for each name: a file may list one model with two temperatures."""
    entries: list[Any] = []
    for name in names:
        entries += [item for item in listed if item.model == name] or [name]
    return entries


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
