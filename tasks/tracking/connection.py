"""How MLflow is reached: a client for each address, which waits for a server that is away, and one clear message.

MLflow's own repeats are off: ``outage`` repeats calls.
"""

import contextlib
import functools
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tasks.errors import RunError, without_password
from tasks.tracking.outage import Outage

FOREIGN = {"boto3", "botocore", "mlflow", "requests", "sqlalchemy", "urllib3"}
"""Libraries below MLflow whose exceptions reach us as they are."""
ASIDE = "(raised as a result of Query-invoked autoflush"
"""With this SQLAlchemy begins some messages; what went wrong is in the next line."""


@functools.lru_cache(maxsize=8)
def connect(uri: str) -> Any:
    """One client for each URI: opening a database costs a second, and both kinds of store are thread-safe."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to `synthgap run --json`
        "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",  # a model gets no pyproject.toml of the folder that a study was started in
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # ours repeat a call; two layers would multiply
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    }.items():
        os.environ.setdefault(name, value)
    import logging

    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # forty lines of migrations on first use
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)  # a traceback of what it raises all the same
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=uri)
    return _Patient(client, Outage(f"MLflow at {without_password(uri)!r}", _away)) if uri.startswith("http") else client


class _Patient:
    """A client whose calls wait for a server that is away."""

    def __init__(self, client: Any, outage: Outage) -> None:
        self._client, self._outage = client, outage

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(self._outage.call, getattr(self._client, name))


def _away(error: BaseException) -> bool:
    """Whether a server did not answer, or said that the failure is its own (5xx): it may do better in a moment."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return bool(error.response.status_code >= 500)
    if isinstance(error, MlflowException):  # one without a connection is an internal error to MLflow
        return bool(error.get_http_status_code() >= 500)
    return isinstance(error, NoConnection | Timeout)


def log_files(client: Any, run_id: str, files: Mapping[str, str]) -> None:
    """Log texts as files of a run, by their names."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        client.log_artifacts(run_id, folder)


def check_alive(uri: str) -> None:
    """MLflow's own client retries for minutes before it says that nobody is there; ask once instead."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            return
    except urllib.error.HTTPError:
        return  # somebody answers: a proxy or a login page; the client's own message will be better
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RunError(
            f"no MLflow server answers at {without_password(uri)!r} ({reason}); "
            "start it, or unset SYNTHGAP_TRACKING_URI to log to a local database"
        ) from None


def check_database(uri: str) -> None:
    """The same of a database, for which MLflow would wait a hundred seconds."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    engine.connect().close()
    engine.dispose()


def database_of(uri: str) -> str | None:
    """The kind of database that a tracking URI names; null where it is none."""
    kind = urlsplit(uri).scheme.split("+")[0]
    return kind if kind in {"sqlite", "postgresql", "mysql", "mssql"} else None


@contextlib.contextmanager
def clear_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow, its HTTP client, the database or the disk raise into one ``RunError`` that names the place."""
    try:
        yield
    except ModuleNotFoundError as error:  # the driver of a database
        raise RunError(f"MLflow at {without_password(uri)!r}: {error}; install the package") from None
    except OSError as error:  # a full disk, or no connection
        raise RunError(f"MLflow at {without_password(uri)!r} and its files: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in FOREIGN:
            raise
        lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(ASIDE)]
        said = lines[0] if lines else type(error).__name__
        raise RunError(f"MLflow at {without_password(uri)!r}: {said}") from error
