"""The connection to MLflow: one client for each address, which waits for a server that does not answer.

MLflow's own retries are switched off, because ``outage`` repeats calls. An error becomes one clear message.
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

RAISED_BY_MLFLOW = {"boto3", "botocore", "mlflow", "requests", "sqlalchemy", "urllib3"}
"""Libraries whose exceptions MLflow's client raises unchanged."""
NO_CAUSE = "(raised as a result of Query-invoked autoflush"
"""The first line of some messages of SQLAlchemy. The cause is in the next line."""


@functools.lru_cache(maxsize=8)
def connect(uri: str) -> Any:
    """One client for each URI. Opening a database takes a second, and clients are thread-safe."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to `synthgap run --json`
        "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",  # else a model would include the pyproject.toml of the current folder
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # ``outage`` repeats calls; two layers would multiply
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    }.items():
        os.environ.setdefault(name, value)
    import logging

    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it logs forty lines of migrations at the first use
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)  # it logs tracebacks of errors that it raises
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=uri)
    return _Patient(client, Outage(f"MLflow at {without_password(uri)!r}", _away)) if uri.startswith("http") else client


class _Patient:
    """A client whose calls wait for a server that does not answer."""

    def __init__(self, client: Any, outage: Outage) -> None:
        self._client, self._outage = client, outage

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(self._outage.call, getattr(self._client, name))


def _away(error: BaseException) -> bool:
    """Whether a call may succeed later: the server did not answer, or answered with a server error (5xx)."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return bool(error.response.status_code >= 500)
    if isinstance(error, MlflowException):  # without a connection, MLflow reports an internal error
        return bool(error.get_http_status_code() >= 500)
    return isinstance(error, NoConnection | Timeout)


def log_files(client: Any, run_id: str, files: Mapping[str, str]) -> None:
    """Log texts as files of a run, by file name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        client.log_artifacts(run_id, folder)


def check_alive(uri: str) -> None:
    """Raise ``RunError`` if no server answers. MLflow's client would retry for minutes."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            return
    except urllib.error.HTTPError:
        return  # a proxy or a login page answers; the client's own message is better
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RunError(
            f"no MLflow server answers at {without_password(uri)!r} ({reason}); "
            "start it, or unset SYNTHGAP_TRACKING_URI to log to a local database"
        ) from None


def check_database(uri: str) -> None:
    """Raise an error if a database does not answer. MLflow would wait for a hundred seconds."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    engine.connect().close()
    engine.dispose()


def database_of(uri: str) -> str | None:
    """The kind of database in a tracking URI; null if it is no database."""
    kind = urlsplit(uri).scheme.split("+")[0]
    return kind if kind in {"sqlite", "postgresql", "mysql", "mssql"} else None


@contextlib.contextmanager
def clear_errors(uri: str) -> Iterator[None]:
    """Convert errors of MLflow, its HTTP client, the database or the disk into one ``RunError`` with the address."""
    try:
        yield
    except ModuleNotFoundError as error:  # the driver of a database
        raise RunError(f"MLflow at {without_password(uri)!r}: {error}; install the package") from None
    except OSError as error:  # a full disk, or no connection
        raise RunError(f"MLflow at {without_password(uri)!r} and its files: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in RAISED_BY_MLFLOW:
            raise
        lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(NO_CAUSE)]
        said = lines[0] if lines else type(error).__name__
        raise RunError(f"MLflow at {without_password(uri)!r}: {said}") from error
