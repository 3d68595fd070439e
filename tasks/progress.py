"""How a running stage reports its progress: a log record with a ``Progress`` attached.

Log records reach the terminal, Prefect's run logs and log files alike, without a callback that Prefect would have to
pass as a parameter.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

FIRST, AGAIN = 5.0, 15.0
"""Seconds after which it is said how far long work is, and said again."""

LOGGER = logging.getLogger("synthgap")
LOGGER.setLevel(logging.INFO)  # not the root logger's WARNING: Prefect gives handlers, not a level; in workers, too


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is."""

    stage: Literal["load", "synthesize", "trial", "classify", "annotate", "judge"]
    name: str
    """Readable name of the synthesis, cell, or task."""
    done: int
    total: int
    note: str = ""
    """What is of interest now: rejected rows, the last score, an error."""
    failed: bool = False

    @property
    def finished(self) -> bool:
        """Whether the stage ended, successfully or not."""
        return self.failed or self.done >= self.total

    def __str__(self) -> str:
        tail = f" ({self.note})" if self.note else ""
        return f"{self.stage} {self.name}: {'failed' if self.failed else f'{self.done}/{self.total}'}{tail}"


def announce(progress: Progress, *, relayed: bool = False) -> None:
    """Log it: the end of a stage at INFO, failures at ERROR, steps in between at DEBUG.

    Progress that is ``relayed`` from another process is already in Prefect's logs.
    """
    level = logging.ERROR if progress.failed else logging.INFO if progress.finished else logging.DEBUG
    LOGGER.log(level, "%s", progress, extra={"progress": progress, "send_to_api": not relayed})


def counted(items: Iterable[T], total: int, what: str, clock: Callable[[], float] = time.monotonic) -> Iterator[T]:
    """The items, with a line of log about how many of ``total`` are done where they take long.

    For work outside of stages, whose progress no display shows: it is a warning, because those are printed everywhere.
    """
    begun = clock()
    due = begun + FIRST
    for done, item in enumerate(items):
        if (now := clock()) >= due:
            due = now + AGAIN
            LOGGER.warning("%s: %s of %s done, %.0f s so far", what, f"{done:,}", f"{total:,}", now - begun)
        yield item
