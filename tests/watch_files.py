"""Watch files as tests write them."""

import json
from pathlib import Path
from typing import Any


def write(home: Path, name: str = "mine", **change: Any) -> Path:
    config = {"name": name, "study": "quickstart", "providers": ["embedded"], **change}
    path = home / "watches" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"# Looks for new ones.\n{json.dumps(config)}")
    return path
