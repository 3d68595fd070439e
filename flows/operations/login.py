"""The password of the servers that ``synthgap up`` starts, in a file that only its owner can read.

A person with the password has the owner's rights, because Prefect starts processes on request. Our processes get it in
their environment, which no other user can read. It is never in a command line, a log, the state file or a database.
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
"""Environment variable by which a user chooses the login, which is also used at later starts."""
FORM = re.compile(r"[!-9;-~]+:[!-~]{12,}")
"""``user:password`` as both servers accept it: MLflow requires 12 characters."""
PAGE = "synthgap-login.html"
"""Page of Prefect's server that stores the login of a link in the browser."""


@dataclass(frozen=True)
class Login:
    """A user's name and password, the same for both servers."""

    user: str
    password: str = field(repr=False)

    @property
    def text(self) -> str:
        """``user:password``, as in Prefect's settings and in the file."""
        return f"{self.user}:{self.password}"

    @property
    def basic(self) -> str:
        """Base64 of ``text``, as a browser sends it and Prefect's pages store it."""
        return base64.b64encode(self.text.encode()).decode()

    @property
    def of_prefect(self) -> dict[str, str]:
        """The environment variable that Prefect's clients read."""
        return {"PREFECT_API_AUTH_STRING": self.text}

    @property
    def of_mlflow(self) -> dict[str, str]:
        """The environment variables that MLflow's clients read."""
        return {"MLFLOW_TRACKING_USERNAME": self.user, "MLFLOW_TRACKING_PASSWORD": self.password}

    @property
    def signing_key(self) -> str:
        """The key by which MLflow's server signs its forms; the same at every start."""
        return hmac.new(self.text.encode(), b"mlflow's forms", hashlib.sha256).hexdigest()

    def link(self, prefect: str) -> str:
        """The address that logs a browser in. A browser does not send the part after ``#`` to any server."""
        return f"{prefect}/{PAGE}#{self.basic}"


def path_of(settings: Settings) -> Path:
    """The file of the login."""
    return settings.home / "login"


def read_login(settings: Settings) -> Login | None:
    """The login in the file; null if there is none that this user can read."""
    try:
        return _login(path_of(settings).read_text(encoding="utf-8").strip(), str(path_of(settings)))
    except OSError:
        return None


def keep_login(settings: Settings, environment: Mapping[str, str]) -> Login:
    """The login in the environment or, without it, in the file, or a new one. It is written to the file.

    Raises ``UserError`` if it is not ``user:password``.
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
            f"{place} must be user:password in ASCII without spaces, with a password of 12 characters or more; "
            "change it, or remove it to get a random one"
        )
    user, _, password = text.partition(":")
    return Login(user, password)
