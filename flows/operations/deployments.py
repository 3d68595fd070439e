"""Deployments as entries of ``prefect.yaml``: one for each study file and watch file, and one that runs a new LLM.

``synthgap up`` registers the entries of all files that it finds (``registration``). ``python -m
flows.operations.deployments`` writes the entries of the shipped files to ``prefect.yaml``, for users with their own
servers.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from flows.overrides import form_values
from tasks.config import load_study, load_watch, named
from tasks.errors import UserError
from tasks.planning.names import resolve
from tasks.settings import Settings

Entry = dict[str, Any]
"""A deployment in the format of ``prefect.yaml``."""

POOL = "synthgap"
"""Name of the work pool."""
ENTRYPOINT = "flows.deployed.study"
ONE_AT_A_TIME = {"limit": 1, "collision_strategy": "ENQUEUE"}
"""A second run of the deployment waits."""
NEWCOMER: Entry = {
    "name": "newcomer",
    "version": "1",
    "description": "Runs the study of a watch for one new LLM. An automation starts it when a watch finds one.",
    "tags": ["synthgap", "watch"],
    "entrypoint": "flows.new_llm.newcomer",
    "parameters": {},
    "concurrency_limit": ONE_AT_A_TIME,
    "work_pool": {"name": POOL},
}
PREFECT_YAML = Path(__file__).parents[2] / "prefect.yaml"
HEADER = """\
# Written by `python -m flows.operations.deployments` from deployments/studies and deployments/watches. To change it,
# change the files there, then run that command again.
# To use it, with a Prefect server of your own (PREFECT_API_URL) and synthgap installed where the worker runs:
#   prefect work-pool create synthgap --type process --base-job-template deployments/pools/process.json
#   prefect deploy --all
#   python -m flows.operations.automations
#   prefect worker start --pool synthgap
# `synthgap up` does all of this and does not need this file. See docs/OPERATIONS.md.
"""


def study_deployment(name: str, path: Path) -> Entry:
    """The deployment of a study file. Raises ``UserError`` for an invalid file, or an unknown name or file in it."""
    study = load_study(path)
    try:
        resolve(study)
    except UserError as error:
        raise UserError(f"study {path.name}: {error}") from None
    config = study.config
    grid = {
        "Tasks": [Path(task).stem for task in config.tasks],
        "Modes": list(config.modes),
        "Generators": [generator.model for generator in config.generators],
        "Classifiers": [classifier.model for classifier in config.classifiers],
    }
    return {
        "name": config.name,
        "version": named.fingerprint(path),  # a run is refused if the file has changed since
        "description": _description(path, [f"- {part}: {', '.join(names)}" for part, names in grid.items()]),
        "tags": ["synthgap", *sorted({generator.model.split("/")[0] for generator in config.generators})],
        "entrypoint": ENTRYPOINT,
        "parameters": {"study": name, **form_values(study)},
        "concurrency_limit": ONE_AT_A_TIME,
        "work_pool": {"name": POOL},
    }


def watch_deployment(name: str, path: Path, settings: Settings) -> Entry:
    """The deployment of a watch file. Raises ``UserError`` if the file or its study's file is invalid."""
    config = load_watch(path)
    named.study_of(config, path, settings)
    providers = ", ".join(provider.address for provider in config.providers)
    return {
        "name": config.name,
        "version": named.fingerprint(path),
        "description": _description(path, [f"- Asks: {providers}", f"- Study: {config.study}"]),
        "tags": ["synthgap", "watch"],
        "entrypoint": "flows.watch.watch",
        "parameters": {"watch": name},
        "schedules": [{"cron": config.schedule, "timezone": config.timezone}] if config.schedule else [],
        "concurrency_limit": ONE_AT_A_TIME,
        "work_pool": {"name": POOL},
    }


def _description(path: Path, lines: list[str]) -> str:
    return "\n\n".join(part for part in (named.leading_comment(path), "\n".join(lines)) if part)


def study_deployments(files: Mapping[str, Path]) -> tuple[list[Entry], list[str]]:
    """The deployments of all valid study files, and an error message for each of the others."""
    return _deployments("study", files, study_deployment)


def watch_deployments(files: Mapping[str, Path], settings: Settings) -> tuple[list[Entry], list[str]]:
    """The deployments of all valid watch files, and an error message for each of the others."""
    return _deployments("watch", files, partial(watch_deployment, settings=settings))


def _deployments(
    kind: str, files: Mapping[str, Path], deployment: Callable[[str, Path], Entry]
) -> tuple[list[Entry], list[str]]:
    entries: dict[str, Entry] = {}
    complaints: list[str] = []
    for name, path in files.items():
        try:
            entry = deployment(name, path)
        except UserError as error:
            complaints.append(str(error))
            continue
        if other := entries.get(entry["name"]):
            first = other["parameters"][kind]
            complaints.append(f"{path}: {kind} {first!r} has the name {entry['name']!r} already; rename one of them")
        else:
            entries[entry["name"]] = entry
    return list(entries.values()), complaints


def prefect_yaml() -> str:
    """The content of prefect.yaml. Raises ``UserError`` if a shipped file is invalid."""
    found, complaints = study_deployments(named.shipped_studies())
    nobody = Settings(home=Path(__file__).parent)  # a folder in which no user keeps studies
    watching, more = watch_deployments(named.shipped_watches(), nobody)
    if complaints or more:
        raise UserError("; ".join([*complaints, *more]))
    content = {"name": "synthgap", "pull": [], "deployments": [*found, *watching, NEWCOMER]}
    return HEADER + yaml.dump(content, Dumper=_WithoutAnchors, sort_keys=False, allow_unicode=True, width=120)


class _WithoutAnchors(yaml.SafeDumper):
    """A YAML dumper that writes a repeated value in full each time."""

    def ignore_aliases(self, data: Any) -> bool:
        """True for all data."""
        return True


if __name__ == "__main__":
    PREFECT_YAML.write_text(prefect_yaml(), encoding="utf-8")
    sys.stderr.write(f"Wrote {PREFECT_YAML}\n")
