"""Starts a run, for every caller in the same way: the study is locked, loaded, planned, checked, then run.

Callers differ in what they set up around the flow (a server, a display, signals), so each passes its own ``run``.
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

    Raises ``UserError`` before ``run`` is called if the study is invalid, ``RunError`` if another process runs it or an
    external service or the disk fails.
    """
    with loaded(study, settings) as data:
        return start(study.config, data, settings, run)


@contextmanager
def loaded(study: Study, settings: Settings, wait: bool = False) -> Iterator[tuple[TaskData, ...]]:
    """The real rows of a study, with the study's lock held. If another process holds it, ``wait`` waits for it.

    Raises ``UserError`` for an invalid name or file in the study, ``RunError`` if another process runs the study and
    ``wait`` is false.
    """
    check_places(settings)
    with clear_faults(settings), only_run_of(study.config.name, settings, wait):
        yield load_tasks(study, settings)


def start(config: StudyConfig, data: Sequence[TaskData], settings: Settings, run: Run[R]) -> R:
    """Plan a study over its loaded rows, check the LLMs that it will call, and run it."""
    with clear_faults(settings):
        plan = make_plan(config, data, settings)
        check_generators(plan, settings)
        return run(plan, data, settings)


def check_generators(plan: Plan, settings: Settings) -> None:
    """Check all LLMs that will be called, before anything is started.

    Raises ``RunError`` for a missing key or an unknown provider, ``UserError`` for a key that may not be sent to the
    configured address, and for a model whose spending the operator's cap cannot limit.
    """
    if plan.asked:
        from tasks.llm import gateway

        for generator in plan.asked:
            counted_price(generator, settings.most_usd, settings.most_tokens)
            gateway.prepare(generator)


@contextmanager
def clear_faults(settings: Settings) -> Iterator[None]:
    """Turn the errors of a full disk and of an unreachable Prefect server into one ``RunError``."""
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
        if "prefect" not in sys.modules:  # not an error of Prefect; importing Prefect would create its folder
            raise
        from flows.operations import prefect_admin  # imports much of Prefect

        with prefect_admin.clear_errors():
            raise
