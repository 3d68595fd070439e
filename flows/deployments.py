"""Deployments: one for each study file, said once and used twice.

``definition`` is an entry of ``prefect.yaml``. ``synthgap up`` registers the entries of all studies that it finds;
``python -m flows.deployments`` writes those of the shipped studies to ``prefect.yaml`` for people who run servers of
their own.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from flows import studies
from flows.overrides import form_values
from tasks.config import Study, load_study
from tasks.errors import UserError

POOL = "synthgap"
"""Name of the work pool."""
ENTRYPOINT = "flows.deployed.study"
PREFECT_YAML = Path(__file__).parent.parent / "prefect.yaml"
HEADER = """\
# Written by `python -m flows.deployments` from deployments/studies/*.yaml; change those, then run it again.
# With a Prefect server of your own (PREFECT_API_URL) and synthgap installed where the worker runs:
#   prefect work-pool create synthgap --type process
#   prefect deploy --all
#   prefect worker start --pool synthgap
# `synthgap up` does all of this and needs no file. See docs/OPERATIONS.md.
"""


def definition(name: str, path: Path) -> dict[str, Any]:
    """The deployment of a study file, as an entry of prefect.yaml. Raises ``UserError`` when the file is wrong."""
    study = load_study(path)
    return {
        "name": study.config.name,
        "version": studies.fingerprint(path),  # a run is refused when the file has changed since
        "description": _description(study, studies.leading_comment(path)),
        "tags": ["synthgap", *sorted({generator.model.split("/")[0] for generator in study.config.generators})],
        "entrypoint": ENTRYPOINT,
        "parameters": {"study": name, **form_values(study)},
        "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},  # a second run waits
        "work_pool": {"name": POOL},
    }


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


def register(entry: dict[str, Any]) -> None:
    """Create or update a deployment on the Prefect server that is configured."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.deployments.runner import RunnerDeployment
    from prefect.types.entrypoint import EntrypointType

    from flows.deployed import study

    fields = {name: entry[name] for name in ("name", "version", "description", "tags", "parameters")}
    RunnerDeployment.from_flow(
        study,
        **fields,
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]),
        work_pool_name=entry["work_pool"]["name"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    ).apply()


def prefect_yaml() -> str:
    """The content of prefect.yaml."""
    entries, complaints = definitions(studies.shipped_studies())
    if complaints:
        raise UserError("; ".join(complaints))
    content = {"name": "synthgap", "pull": [], "deployments": entries}
    return HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    PREFECT_YAML.write_text(prefect_yaml(), encoding="utf-8")
    sys.stderr.write(f"Wrote {PREFECT_YAML}\n")
