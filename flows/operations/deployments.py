"""Deployments: one for each study file and watch file, and one that runs a new LLM; said once and used twice.

``definition`` is an entry of ``prefect.yaml``. ``synthgap up`` registers the entries of all files that it finds
(``registration``); ``python -m flows.operations.deployments`` writes those of the shipped files to ``prefect.yaml`` for
people who run servers of their own.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from flows.overrides import form_values
from tasks.config import Study, load_study, load_watch, named
from tasks.errors import UserError
from tasks.settings import Settings

POOL = "synthgap"
"""Name of the work pool."""
ENTRYPOINT = "flows.deployed.study"
ONE_AT_A_TIME = {"limit": 1, "collision_strategy": "ENQUEUE"}
"""A second run of the deployment waits."""
NEWCOMER: dict[str, Any] = {
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
# Written by `python -m flows.operations.deployments` from deployments/studies and deployments/watches; change the
# files there, then run it again.
# With a Prefect server of your own (PREFECT_API_URL) and synthgap installed where the worker runs:
#   prefect work-pool create synthgap --type process --base-job-template deployments/pools/process.json
#   prefect deploy --all
#   python -m flows.operations.automations
#   prefect worker start --pool synthgap
# `synthgap up` does all of this and needs no file. See docs/OPERATIONS.md.
"""


def definition(name: str, path: Path) -> dict[str, Any]:
    """The deployment of a study file, as an entry of prefect.yaml. Raises ``UserError`` when the file is wrong."""
    study = load_study(path)
    return {
        "name": study.config.name,
        "version": named.fingerprint(path),  # a run is refused when the file has changed since
        "description": _description(study, named.leading_comment(path)),
        "tags": ["synthgap", *sorted({generator.model.split("/")[0] for generator in study.config.generators})],
        "entrypoint": ENTRYPOINT,
        "parameters": {"study": name, **form_values(study)},
        "concurrency_limit": ONE_AT_A_TIME,
        "work_pool": {"name": POOL},
    }


def watch_definition(name: str, path: Path, settings: Settings) -> dict[str, Any]:
    """The deployment of a watch file. Raises ``UserError`` when the file, or that of its study, is wrong."""
    config = load_watch(path)
    named.study_of(config, path, settings)
    asked = f"- Asks: {', '.join(provider.address for provider in config.providers)}\n- Study: {config.study}"
    schedules = [{"cron": config.schedule, "timezone": config.timezone}] if config.schedule else []
    return {
        "name": config.name,
        "version": named.fingerprint(path),
        "description": "\n\n".join(part for part in (named.leading_comment(path), asked) if part),
        "tags": ["synthgap", "watch"],
        "entrypoint": "flows.watch.watch",
        "parameters": {"watch": name},
        "schedules": schedules,
        "concurrency_limit": ONE_AT_A_TIME,
        "work_pool": {"name": POOL},
    }


def watch_definitions(settings: Settings) -> tuple[list[dict[str, Any]], list[str]]:
    """The deployments of all watch files that can be used, and a complaint about each of the others."""
    entries: dict[str, dict[str, Any]] = {}
    complaints: list[str] = []
    for name, path in named.find_watches(settings).items():
        try:
            entry = watch_definition(name, path, settings)
        except UserError as error:
            complaints.append(str(error))
            continue
        if entry["name"] in entries:
            complaints.append(f"{path}: another watch has the name {entry['name']!r} already; rename one of them")
        else:
            entries[entry["name"]] = entry
    return list(entries.values()), complaints


def definitions(found: dict[str, Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """The deployments of all study files that can be used, and a complaint about each of the others."""
    entries: dict[str, dict[str, Any]] = {}
    complaints: list[str] = []
    for name, path in found.items():
        try:
            entry = definition(name, path)
        except UserError as error:
            complaints.append(str(error))
            continue
        if entry["name"] in entries:
            other = entries[entry["name"]]["parameters"]["study"]
            complaints.append(f"{path}: study {other!r} has the name {entry['name']!r} already; rename one of them")
        else:
            entries[entry["name"]] = entry
    return list(entries.values()), complaints


def _description(study: Study, comment: str) -> str:
    config = study.config
    grid = {
        "Tasks": [Path(task).stem for task in config.tasks],
        "Modes": list(config.modes),
        "Generators": [generator.model for generator in config.generators],
        "Classifiers": [classifier.model for classifier in config.classifiers],
    }
    lines = [f"- {part}: {', '.join(names)}" for part, names in grid.items()]
    return "\n\n".join(part for part in (comment, "\n".join(lines)) if part)


def prefect_yaml() -> str:
    """The content of prefect.yaml."""
    entries, complaints = definitions(named.shipped_studies())
    shipped = Settings(home=Path(__file__).parent)  # where nobody keeps files of their own
    watching, more = watch_definitions(shipped)
    if complaints or more:
        raise UserError("; ".join([*complaints, *more]))
    content = {"name": "synthgap", "pull": [], "deployments": [*entries, *watching, NEWCOMER]}
    return HEADER + yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors."""
        return True


if __name__ == "__main__":
    PREFECT_YAML.write_text(prefect_yaml(), encoding="utf-8")
    sys.stderr.write(f"Wrote {PREFECT_YAML}\n")
