"""Arms as tests need them: of names alone, with default settings."""

from collections.abc import Mapping

from tasks.config import ClassifierConfig, GeneratorConfig
from tasks.records import Arm, configured

COUNTS = {"a": 50, "b": 50}


def make_arm(
    task: str = "t",
    mode: str = "few_shot",
    source: str | None = "llm",
    classifier: str = "c",
    *,
    rows: Mapping[str, int] = COUNTS,
    size: int | None = 50,
) -> Arm:
    """An arm whose generator and classifier have default settings."""
    generator = configured(GeneratorConfig(model=source)) if source else None
    counts = tuple(sorted(rows.items()))
    return Arm(task, mode, generator, configured(ClassifierConfig(model=classifier)), size, counts)
