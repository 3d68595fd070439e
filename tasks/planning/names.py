"""Checks all names in a study before anything is loaded or started."""

from collections.abc import Sequence
from pathlib import Path

from tasks.config import Study, StudyConfig, TaskConfig
from tasks.data import catalog
from tasks.errors import UserError, unknown
from tasks.generation.filters import find_filters
from tasks.generation.modes import find_modes
from tasks.labelling.people import read_judgements
from tasks.labelling.untrained import check_untrained
from tasks.training.classifiers import check_classifier


def resolve(study: Study) -> tuple[TaskConfig, ...]:
    """The study's tasks, after checking all names in the study. Raises ``UserError`` for an unknown or repeated one."""
    imports = any(mode.imports for mode in find_modes(study.config.modes))
    filters = find_filters(study.config.filters)
    for classifier in study.config.classifiers:
        check_classifier(classifier)
    check_untrained(study.config)
    tasks = tuple(catalog.find_task(reference, study.folder) for reference in study.config.tasks)
    for item in filters:
        for task in tasks:
            item.check_task(task)
    names = [task.name for task in tasks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"two tasks of the study are called {repeated[0]!r}; rename yours in its YAML")
    _check_imports(study.config, imports, names)
    if study.config.subjectivity and study.config.subjectivity.judgements:
        read_judgements(Path(study.config.subjectivity.judgements), names)
    return tasks


def _check_imports(config: StudyConfig, wanted: bool, tasks: Sequence[str]) -> None:
    if wanted and not config.imports:
        raise UserError("mode 'imported' has no rows: list them under imports (name, task, file)")
    if config.imports and not wanted:
        raise UserError(f"imports are listed, but mode 'imported' is not. Modes: {', '.join(config.modes)}")
    places = [(item.task, item.name) for item in config.imports]
    for task, name in places:
        if task not in tasks:
            raise unknown(f"task of import {name!r}:", task, tasks)
        if places.count((task, name)) > 1:
            raise UserError(f"two imports of task {task!r} are called {name!r}; give each a name of its own")
