"""What a form of Prefect's user interface shows of a study, and the study that its answers make.

A form knows models by name only, so a name that the study file has keeps all that the file says about it (address,
temperature, price, hyper-parameters); any other name stands for that model with its defaults.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.config import ClassifierConfig, GeneratorConfig, Study, StudyConfig, parse
from tasks.data import catalog

FIELDS = ("modes", "seeds", "rows_per_label", "budget_usd", "tolerance")
"""Fields of a study that a form shows as they are."""


def form_values(study: Study) -> dict[str, Any]:
    """A study's values as a form shows them; plain JSON."""
    config = study.config.model_dump(mode="json")
    known = catalog.names()
    return {
        "tasks": [task for task in config["tasks"] if task in known],
        "own_tasks": [task for task in config["tasks"] if task not in known],
        "generators": _unique(item["model"] for item in config["generators"]),
        "classifiers": _unique(item["model"] for item in config["classifiers"]),
        **{name: config[name] for name in FIELDS},
    }


def overridden(study: Study, values: Mapping[str, Any]) -> Study:
    """The study with a form's ``values`` (those of ``form_values``, changed) in place of the file's.

    Raises ``UserError`` that names each value that cannot be used.
    """
    asked = [*values["tasks"], *values["own_tasks"]]
    fields = {
        **study.config.model_dump(),
        **{name: values[name] for name in FIELDS},
        "tasks": sorted(asked, key=(*study.config.tasks, *asked).index),  # in the file's order, new ones last
        "generators": _entries(values["generators"], study.config.generators),
        "classifiers": _entries(values["classifiers"], study.config.classifiers),
    }
    return Study(config=parse(StudyConfig, fields, f"study {study.config.name}"), folder=study.folder)


def _entries(names: Sequence[str], listed: Sequence[GeneratorConfig | ClassifierConfig]) -> list[Any]:
    """All entries of the file for each name: it may list one model at two temperatures."""
    entries: list[Any] = []
    for name in names:
        entries += [item for item in listed if item.model == name] or [name]
    return entries


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
