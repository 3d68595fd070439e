"""What processes find in their environment: no proxy before loopback, Prefect's folder, and no secret too many."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tasks.errors import is_released, is_secret
from tasks.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN = "SYNTHGAP_UP_TOKEN"
"""Environment variable that marks the processes of an ``up``. It is no secret."""
PREFECT_NEEDS = re.compile("PREFECT_SERVER_|PREFECT_API_DATABASE_|PG")
"""Names of the secrets that Prefect's server may have: those of its database, and its own password."""


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep a proxy out of what a machine says to itself, beside those that are named already.

    Both spellings: which one goes first differs between libraries.
    """
    named = ",".join(environment[name] for name in ("NO_PROXY", "no_proxy") if environment.get(name))
    hosts = ",".join(dict.fromkeys([*filter(None, named.split(",")), *LOOPBACK]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def prefect_home(settings: Settings) -> Path:
    """Prefect's database, profiles and logs: below our home folder, so that the user's own stay as they are."""
    return settings.home.absolute() / "prefect"


def use_prefect_home(settings: Settings) -> None:
    """To be called before Prefect is imported: it reads its environment once."""
    os.environ.setdefault("PREFECT_HOME", str(prefect_home(settings)))


def without_secrets(environment: Mapping[str, str], needed: re.Pattern[str]) -> dict[str, str]:
    """The environment of a server: of its secrets only those whose names begin as ``needed`` says. Our mark stays."""
    return {
        name: value
        for name, value in environment.items()
        if not is_secret(name, environment) or (needed.match(name) and not is_released(name, environment))
    }
