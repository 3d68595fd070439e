"""States of an ``up`` that were not written by one."""

import os

from flows.operations.state import Service, UpState
from tasks.processes import birth


def up_state(**change: object) -> UpState:
    """A running ``up``, whose supervisor is this process and whose servers nobody can reach."""
    fields = {
        "token": "t",
        "pid": os.getpid(),
        "created": birth(os.getpid()),
        "prefect_api": "http://127.0.0.1:9/api",
        "tracking_uri": "http://127.0.0.1:9",
        "ready": True,
    }
    return UpState.model_validate({**fields, **change})


def silent(name: str) -> Service:
    """A server that does not answer."""
    return Service(name=name, pid=1, url="http://127.0.0.1:9", health="http://127.0.0.1:9/health")
