"""The password of the servers that ``synthgap up`` starts: in one file that its owner alone may read.

Whoever has it has the owner's rights: Prefect starts what it is told to. Our own processes get it in their environment,
which no other user can read; command lines, logs, the state file and both databases never hold it.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import UserError
from tasks.settings import Settings

USER = "synthgap"
CHOSEN = "PREFECT_SERVER_API_AUTH_STRING"
"""Environment variable with which a user chooses the login; it is kept for the next start."""
FORM = re.compile(r"[!-9;-~]+:[!-~]{12,}")
"""``user:password`` as both servers take it: MLflow wants 12 characters."""
PAGE = "synthgap-login.html"
"""Page beside Prefect's, which hands the login from a link over to the browser."""


@dataclass(frozen=True)
class Login:
    """A user's name and password, the same for both servers."""

    user: str
    password: str = field(repr=False)

    @property
    def text(self) -> str:
        """As Prefect's settings and the file have it."""
        return f"{self.user}:{self.password}"

    @property
    def basic(self) -> str:
        """As a browser sends it, and as Prefect's pages keep it."""
        return base64.b64encode(self.text.encode()).decode()

    @property
    def of_prefect(self) -> dict[str, str]:
        """What Prefect's clients read in their environment."""
        return {"PREFECT_API_AUTH_STRING": self.text}

    @property
    def of_mlflow(self) -> dict[str, str]:
        """What MLflow's clients read in their environment."""
        return {"MLFLOW_TRACKING_USERNAME": self.user, "MLFLOW_TRACKING_PASSWORD": self.password}

    @property
    def signing_key(self) -> str:
        """A secret of its own for MLflow's forms, the same at every start."""
        return hmac.new(self.text.encode(), b"mlflow's forms", hashlib.sha256).hexdigest()

    def link(self, prefect: str) -> str:
        """The address that logs a browser in. What stands after # never leaves the browser."""
        return f"{prefect}/{PAGE}#{self.basic}"


def path_of(settings: Settings) -> Path:
    """Where the login is kept."""
    return settings.home / "login"


def read_login(settings: Settings) -> Login | None:
    """The login that was kept; null where there is none, or somebody else's."""
    try:
        return _login(path_of(settings).read_text(encoding="utf-8").strip(), str(path_of(settings)))
    except OSError:
        return None


def keep_login(settings: Settings, environment: Mapping[str, str]) -> Login:
    """The login of the environment, else the one that was kept, else a new one; its file is there from now on.

    Raises ``UserError`` for one that is not ``user:password``.
    """
    chosen = environment.get(CHOSEN)
    login = _login(chosen, CHOSEN) if chosen else read_login(settings)
    login = login or Login(USER, secrets.token_urlsafe(32))
    draft = path_of(settings).with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(login.text)
    draft.replace(path_of(settings))
    return login


def _login(text: str, place: str) -> Login:
    if not FORM.fullmatch(text):
        raise UserError(
            f"{place} must be user:password in ASCII without spaces, the password of 12 characters or more; "
            "without one, a random one is made"
        )
    user, _, password = text.partition(":")
    return Login(user, password)
