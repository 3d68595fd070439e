"""How a running stage reports its progress: a log record with a ``Progress`` attached.

Log records reach the terminal, Prefect's run logs and log files alike, without a callback that Prefect would have to
pass as a parameter.
"""

import logging
from dataclasses import dataclass
from typing import Literal

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
