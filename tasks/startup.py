"""What makes a process of large libraries start faster."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Keep the garbage collector away from what is imported within: it stays until the process ends.

    Looking through it again and again is a fifth of the time that Prefect, MLflow or torch take to import, and once
    more at the end of the process.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
