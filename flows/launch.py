"""The one way to a run, whoever starts it: the study is locked, loaded, planned and checked, each once, then run.

What starts a run differs in what it puts around the flow (a server, a display, signals), so that comes in as ``run``.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tasks.config import Study, StudyConfig
from tasks.errors import FULL, RunError, UserError
from tasks.llm.prices import counted_price
from tasks.locks import only_run_of
from tasks.planning.make import load_tasks, make_plan
from tasks.planning.plan import Plan
from tasks.records import TaskData
from tasks.settings import Settings
from tasks.store import check_places

R = TypeVar("R")

Run = Callable[[Plan, Sequence[TaskData], Settings], R]
"""Runs a planned study over its real rows."""


def launch(study: Study, settings: Settings, run: Run[R]) -> R:
    """Run a study; returns what ``run`` returns.

    Raises ``UserError`` before ``run`` is called when the study cannot be run, ``RunError`` when another process runs
    it or something outside fails.
    """
    with loaded(study, settings) as data:
        return start(study.config, data, settings, run)


@contextmanager
def loaded(study: Study, settings: Settings, wait: bool = False) -> Iterator[tuple[TaskData, ...]]:
    """The real rows of a study that no other process runs meanwhile. One that does is waited for, or a ``RunError``.

    Raises ``UserError`` for a name or a file in the study that cannot be used.
    """
    check_places(settings)
    with clear_faults(settings), only_run_of(study.config.name, settings, wait):
        yield load_tasks(study, settings)


def start(config: StudyConfig, data: Sequence[TaskData], settings: Settings, run: Run[R]) -> R:
    """Plan a study over its loaded rows, check the LLMs that it is to call, and run it."""
    with clear_faults(settings):
        plan = make_plan(config, data, settings)
        check_generators(plan, settings)
        return run(plan, data, settings)


def check_generators(plan: Plan, settings: Settings) -> None:
    """A missing key or an unknown provider, of any LLM that is to be called, shows before anything is started.

    Raises ``RunError``, and ``UserError`` for a key that may not go where it would, or a model that the operator's cap
    cannot hold.
    """
    if plan.asked:
        from tasks.llm import gateway

        for generator in plan.asked:
            counted_price(generator, settings.most_usd, settings.most_tokens)
            gateway.prepare(generator)


@contextmanager
def clear_faults(settings: Settings) -> Iterator[None]:
    """Turn a full disk and a Prefect server that is gone into one ``RunError``, wherever they are met."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        place = error.filename or settings.home
        raise RunError(
            f"cannot write {str(place)!r}: {error.strerror}; free some space, then run again: finished work is kept"
        ) from error
    except (UserError, RunError):
        raise
    except Exception:
        if "prefect" not in sys.modules:  # then it is not Prefect's, which would make its folder when it is imported
            raise
        from flows.operations import prefect_admin  # imports much of Prefect

        with prefect_admin.clear_errors():
            raise
