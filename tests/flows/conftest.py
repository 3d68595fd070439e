"""What tests of the wiring share: what a run says of itself."""

import logging
from collections.abc import Iterator

import pytest

from tasks.progress import LOGGER


class Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def count(self, beginning: str) -> int:
        """Messages that begin so."""
        return sum(message.startswith(beginning) for message in self.messages)


@pytest.fixture
def log() -> Iterator[Listener]:
    """All that is logged from now on, debug messages included."""
    listener, level = Listener(), LOGGER.level
    LOGGER.addHandler(listener)
    LOGGER.setLevel(logging.DEBUG)
    yield listener
    LOGGER.removeHandler(listener)
    LOGGER.setLevel(level)
