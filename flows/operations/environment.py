"""The environment of the processes that synthgap starts: no proxy for loopback, and only the secrets that they need."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tasks.errors import is_released, is_secret
from tasks.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN = "SYNTHGAP_UP_TOKEN"
"""Environment variable that marks the processes of an ``up``. Its value is no secret."""
PREFECT_NEEDS = re.compile("PREFECT_SERVER_|PREFECT_API_DATABASE_|PG")
"""Matches the beginning of the names of the secrets that Prefect's server gets: its database's and its password."""
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLIENT_MAX_RETRIES": "6",  # about two minutes, longer than a server's restart takes
    "PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "synthgap",  # the user interface then shows stage logs
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "DO_NOT_TRACK": "1",
}
"""Settings of all processes of an ``up``: no telemetry, no advertising, and repeated calls while a server restarts."""


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that exclude requests to this machine from a proxy, in addition to hosts that they already list.

    Both spellings are set, because libraries differ in the one that they prefer.
    """
    named = ",".join(environment[name] for name in ("NO_PROXY", "no_proxy") if environment.get(name))
    hosts = ",".join(dict.fromkeys([*filter(None, named.split(",")), *LOOPBACK]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def prefect_home(settings: Settings) -> Path:
    """The folder of Prefect's database, profiles and logs: in our home, so that ``~/.prefect`` is not changed."""
    return settings.home.absolute() / "prefect"


def use_prefect_home(settings: Settings) -> None:
    """Set Prefect's folder. Call it before the import of Prefect, which reads the environment."""
    os.environ.setdefault("PREFECT_HOME", str(prefect_home(settings)))


def without_secrets(environment: Mapping[str, str], needed: re.Pattern[str]) -> dict[str, str]:
    """The environment of a server: everything except secrets, and the secrets that ``needed`` matches."""
    return {
        name: value
        for name, value in environment.items()
        if not is_secret(name, environment) or (needed.match(name) and not is_released(name, environment))
    }


def service_environment(token: str, settings: Settings) -> dict[str, str]:
    """The common environment of the services of an ``up``."""
    return {
        **os.environ,
        **QUIET,
        **past_proxies(os.environ),
        "SYNTHGAP_HOME": str(settings.home.absolute()),
        "PREFECT_HOME": str(prefect_home(settings)),
        "PYTHONPATH": python_path(),
        TOKEN: token,
    }


def python_path() -> str:
    """``PYTHONPATH`` with this checkout, which may not be installed, because services start in another folder."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join(dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
