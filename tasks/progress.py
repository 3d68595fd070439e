"""How a running stage reports its progress: a log record with a ``Progress`` attached.

Log records get to the terminal, Prefect's run logs and log files in the same way, and Prefect does not have to pass a
callback as a parameter.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

FIRST, AGAIN = 5.0, 15.0
"""Seconds until the progress of long work is logged for the first time, and between further times."""

LOGGER = logging.getLogger("synthgap")
LOGGER.setLevel(logging.INFO)  # Prefect sets handlers but no level, so the root logger's WARNING would apply


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a stage."""

    stage: Literal["load", "synthesize", "trial", "classify", "annotate", "judge"]
    name: str
    """Readable name of the synthesis, cell, or task."""
    done: int
    total: int
    note: str = ""
    """Current details: rejected rows, the last score, an error."""
    failed: bool = False

    @property
    def finished(self) -> bool:
        """Whether the stage ended, successfully or not."""
        return self.failed or self.done >= self.total

    def __str__(self) -> str:
        tail = f" ({self.note})" if self.note else ""
        return f"{self.stage} {self.name}: {'failed' if self.failed else f'{self.done}/{self.total}'}{tail}"


def announce(progress: Progress, *, relayed: bool = False) -> None:
    """Log the progress: the end of a stage at INFO, a failure at ERROR, other steps at DEBUG.

    Progress that is ``relayed`` from another process is already in Prefect's logs.
    """
    level = logging.ERROR if progress.failed else logging.INFO if progress.finished else logging.DEBUG
    LOGGER.log(level, "%s", progress, extra={"progress": progress, "send_to_api": not relayed})


def counted(items: Iterable[T], total: int, what: str, clock: Callable[[], float] = time.monotonic) -> Iterator[T]:
    """The items. If they take long, it logs how many of ``total`` are done.

    It is for work outside of stages, which the display does not show. It logs warnings, because those are always
    printed.
    """
    begun = clock()
    due = begun + FIRST
    for done, item in enumerate(items):
        if (now := clock()) >= due:
            due = now + AGAIN
            LOGGER.warning("%s: %s of %s done, %.0f s so far", what, f"{done:,}", f"{total:,}", now - begun)
        yield item
