"""How a running stage tells the outside how far it is: a log record with a ``Progress`` attached.

Logging is the one channel that reaches the terminal display, Prefect's run logs and a plain log file alike, without
a callback that would have to travel through Prefect's parameters.
"""

import logging
from dataclasses import dataclass
from typing import Literal

LOGGER = logging.getLogger("synthgap")
LOGGER.setLevel(logging.INFO)  # not the root logger's WARNING: Prefect gives handlers, not a level; in workers, too


@dataclass(frozen=True, slots=True)
class Progress:
    """One stage's state of work."""

    stage: Literal["load", "synthesize", "trial", "classify", "annotate", "judge"]
    name: str
    """Readable name of the synthesis, cell, or task."""
    done: int
    total: int
    note: str = ""
    """What a person would want to know now: rejected rows, last score, error."""
    failed: bool = False

    @property
    def finished(self) -> bool:
        """The stage ended, well or not."""
        return self.failed or self.done >= self.total

    def __str__(self) -> str:
        tail = f" ({self.note})" if self.note else ""
        return f"{self.stage} {self.name}: {'failed' if self.failed else f'{self.done}/{self.total}'}{tail}"


def announce(progress: Progress, *, relayed: bool = False) -> None:
    """Log it: the end of a stage at INFO, failures at ERROR, steps in between at DEBUG.

    What is ``relayed`` from another process is in Prefect's logs already.
    """
    level = logging.ERROR if progress.failed else logging.INFO if progress.finished else logging.DEBUG
    LOGGER.log(level, "%s", progress, extra={"progress": progress, "send_to_api": not relayed})
