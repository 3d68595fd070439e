"""The tags that identify runs, and the process that each run belongs to."""

import os
import socket

from tasks.processes import birth

KIND, KEY, CELL, CURVE = (f"synthgap.{name}" for name in ("kind", "key", "cell", "curve"))
STUDY, PROCESS, ERROR, VERDICT = (f"synthgap.{name}" for name in ("study", "process", "error", "verdict"))
PARENT = "mlflow.parentRunId"
TABLES = "mlflow.loggedArtifacts"
"""Lists the files of a run that MLflow shows as tables."""


def own_tags(kind: str) -> dict[str, str]:
    """Tags of each run that this process logs; ``kind`` is ``study``, ``curve`` or ``trial``."""
    source = {"mlflow.source.name": f"synthgap {kind}", "mlflow.source.type": "LOCAL"}
    return {KIND: kind, PROCESS: process(), **source}


def process(pid: int | None = None) -> str:
    """``host/pid/start``. The start time distinguishes a process from a later one with the same id."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}/{pid}/{birth(pid)}"


def is_dead(owner: str) -> bool:
    """Whether a process of this host has ended; false for a process of another host, which cannot be checked."""
    import psutil  # type: ignore[import-untyped]

    if not owner.startswith(f"{socket.gethostname()}/"):
        return False
    try:
        return process(int(owner.split("/")[1])) != owner
    except psutil.NoSuchProcess:
        return True
