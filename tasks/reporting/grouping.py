"""The order and the groups of rows in a report.

Tasks are ordered from objective to subjective, because the paper expects losses to grow in this order. With several
classifiers or generators, each pair of them has its own table or figure, so that none is wider than a page.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tasks.records import Comparison, Interval, TaskSubjectivity, short
from tasks.reporting.modes import HasMode, llm, trained, varying
from tasks.reporting.results import Results

Scored = tuple[Comparison, Interval]
"""A comparison and its macro-F1, or its accuracy."""


class OfTask(Protocol):
    """A record about one task."""

    @property
    def task(self) -> str:
        """The task's name."""


R = TypeVar("R", bound=OfTask)


M = TypeVar("M", bound=HasMode)


def task_names(results: Results) -> list[str]:
    """Names of the loaded tasks, the most objective one first.

    They are ordered by rank; tasks without a rank by the raters' mean agreement, or else in the study's order.
    """
    rated = rating(results)
    names = list(dict.fromkeys(task.name for task in results.tasks))

    def place(name: str) -> tuple[Any, ...]:
        item = rated.get(name)
        rank, agreement = (item.rank, item.mean_agreement) if item else (None, None)
        return rank is None, rank or 0, agreement is None, -agreement.mean if agreement else 0.0

    return sorted(names, key=place)


def in_order(results: Results, rows: Iterable[R]) -> list[R]:
    """Rows from objective to subjective tasks; the order within a task stays."""
    names = task_names(results)
    return sorted(rows, key=lambda row: names.index(row.task) if row.task in names else len(names))


def by_mode(rows: Iterable[M]) -> dict[str, list[M]]:
    """Rows by mode, in the order in which the modes first occur."""
    found: dict[str, list[M]] = {}
    for row in rows:
        found.setdefault(row.mode, []).append(row)
    return found


def titles(results: Results) -> dict[str, str]:
    """Titles by task name."""
    return {task.name: task.title for task in results.tasks}


def rating(results: Results) -> dict[str, TaskSubjectivity]:
    """The subjectivity of each task for which something is known."""
    rated = results.subjectivity.tasks
    return {item.task: item for item in rated if item.mean_agreement or item.rank or item.strength}


def classifiers(results: Results) -> list[str]:
    """Names of the trained classifiers, in the study's order."""
    return list(dict.fromkeys(row.classifier for row in results.comparisons if trained(row)))


def pairs(results: Results) -> list[tuple[str, str, str | None]]:
    """(name, classifier, generator) of each trained pair; the name is empty if there is only one pair."""
    rows = results.comparisons
    generators: list[str | None] = list(dict.fromkeys(llm(row) for row in rows if llm(row)))
    parts = varying(rows)
    found = []
    for classifier in classifiers(results):
        for generator in generators or [None]:
            names = {"classifier": classifier, "generator": generator}
            found.append((" · ".join(short(names[name] or "") for name in parts), classifier, generator))
    return found


def of_pair(results: Results, classifier: str, generator: str | None) -> dict[tuple[str, str], Comparison]:
    """Comparisons by (task, mode) for one pair, including those that need no classifier or generator.

    Of real rows in several sizes, the largest counts: the others match syntheses with too few rows.
    """
    found: dict[tuple[str, str], Comparison] = {}
    for row in results.comparisons:
        fits = trained(row) in (None, classifier)
        other = found.get((row.task, row.mode))
        larger = other is None or (row.n_train or 0) > (other.n_train or 0)
        if fits and llm(row) in (None, generator) and larger:
            found[row.task, row.mode] = row
    return found


def scores_of_pair(results: Results, classifier: str, generator: str | None) -> dict[tuple[str, str], Interval]:
    """Macro-F1 by (task, mode) for one pair."""
    return {key: row.macro_f1 for key, row in of_pair(results, classifier, generator).items() if row.macro_f1}


def asked(results: Results) -> list[str]:
    """Names of the tasks in the study file."""
    return [Path(task).stem if task.endswith((".yaml", ".yml")) else task for task in results.config.tasks]
