"""A small study for tests of where a study runs: whatever the place, its LLM writes the same texts."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.endpoint import Endpoint, chat

WORDS = {"ham": "see you at home later mate", "spam": "win a free prize call now to claim"}


class Writer(Endpoint):
    """Writes a text of the label that the prompt describes; the same prompt and seed give the same text."""

    def __init__(self) -> None:
        super().__init__((200, {}, {}))

    def reply(self, body: dict) -> tuple[int, dict[str, str], object]:
        label = "spam" if "commercial" in json.dumps(body["messages"][1]) else "ham"
        name = hashlib.sha256(json.dumps([body["messages"], body["seed"]]).encode()).hexdigest()
        return chat(f"{WORDS[label]} {name[:6]} {name[6:12]}", model="writer")


def write_study(place: Path, url: str, **change: object) -> Path:
    config = {
        "name": "small",
        "tasks": ["sms_spam"],
        "modes": ["real", "few_shot"],
        "generators": [{"model": "openai/writer", "api_base": url}],
        "classifiers": ["probe/embedded/minilm-l6"],
        "seeds": [0, 1],
        "rows_per_label": 6,
        "test_rows": 40,
        "reference_rows": 20,
        **change,
    }
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{config['name']}.yaml"
    path.write_text(json.dumps(config))
    return path


def environment(place: Path, **ours: str) -> dict[str, str]:
    """This process's environment with a home of its own, without what Prefect is set to here; lines do not wrap."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SYNTHGAP_"))}
    homes = {"SYNTHGAP_HOME": str(place / "home"), "PREFECT_HOME": str(place / "prefect")}
    return {**theirs, **homes, "OPENAI_API_KEY": "sk-of-a-test", "COLUMNS": "250", **ours}


def start(study: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.cli", "run", str(study), "--json", "--again"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run(study: Path, environment: dict[str, str]) -> tuple[dict, str]:
    """Results and stderr of a study that ends well."""
    process = start(study, environment)
    out, said = process.communicate(timeout=800)
    assert process.returncode == 0, said
    return json.loads(out), said


def scores(results: dict) -> dict:
    """What must not depend on where a study runs."""
    cells = {
        (cell["arm"]["mode"], cell["seed"]): [
            cell[name] for name in ("key", "macro_f1", "accuracy", "per_label", "n_train")
        ]
        for cell in results["cells"]
    }
    gaps = {row["arm"]["mode"]: (row["macro_f1"], row["gap"]) for row in results["comparisons"]}
    sets = [
        [item["yields"]["kept"], *(item[name] for name in ("key", "diversity", "similarity"))]
        for item in results["syntheses"]
    ]
    return close({"cells": cells, "gaps": gaps, "syntheses": sets})


class Close(float):
    """A computed number. It equals one that another number of threads computed, which adds in another order."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(float(self) - float(other)) <= 1e-3

    def __ne__(self, other: object) -> bool:
        return not self == other


def close(value: object) -> Any:
    """``value`` with each float in it made a ``Close``."""
    if isinstance(value, dict):
        return {key: close(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [close(item) for item in value]
    return Close(value) if isinstance(value, float) else value
