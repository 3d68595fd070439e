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
"""How the names of the secrets begin that Prefect's server may have: those of its database, and its own password."""
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLIENT_MAX_RETRIES": "6",  # two minutes, doubling from two seconds: a server is back sooner
    "PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "synthgap",  # stage logs show in the user interface
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "DO_NOT_TRACK": "1",
}
"""Settings of all processes of an ``up``: no telemetry, no advertising, and patience with a server that restarts."""


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep requests to this machine away from a proxy, beside the hosts that are listed already.

    Both spellings are set, because libraries differ in which one they prefer.
    """
    named = ",".join(environment[name] for name in ("NO_PROXY", "no_proxy") if environment.get(name))
    hosts = ",".join(dict.fromkeys([*filter(None, named.split(",")), *LOOPBACK]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def prefect_home(settings: Settings) -> Path:
    """The folder of Prefect's database, profiles and logs: in our home, so that ``~/.prefect`` is not changed."""
    return settings.home.absolute() / "prefect"


def use_prefect_home(settings: Settings) -> None:
    """Set Prefect's folder. To be called before Prefect is imported, because it reads its environment then."""
    os.environ.setdefault("PREFECT_HOME", str(prefect_home(settings)))


def without_secrets(environment: Mapping[str, str], needed: re.Pattern[str]) -> dict[str, str]:
    """The environment of a server: of its secrets only those that ``needed`` matches, and everything that is none."""
    return {
        name: value
        for name, value in environment.items()
        if not is_secret(name, environment) or (needed.match(name) and not is_released(name, environment))
    }


def service_environment(token: str, settings: Settings) -> dict[str, str]:
    """The environment that the services of an ``up`` have in common."""
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
    """``PYTHONPATH`` with this checkout in it, which need not be installed: services start in another folder."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join(dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
