"""How modes, generators and outcomes look and read, the same in every plot, table and sentence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["yes", "no", "open", "none"]


@dataclass(frozen=True, slots=True)
class Look:
    """A colour for light and for dark pages, both at least 3:1 against them, and a marker that needs no colour."""

    light: str
    dark: str
    marker: str


LOOKS = {
    "real": Look("#1d1d1f", "#f0f0f2", "o"),
    "real_full": Look("#6e6e73", "#a1a1a6", "D"),
    "zero_shot": Look("#c4501b", "#ff8a4c", "^"),
    "few_shot": Look("#0b6bcb", "#5ab0ff", "s"),
    "pool_only": Look("#a83a7e", "#f08cc8", "v"),
    "pool_plus_synthetic": Look("#0a7d5a", "#3fd0a0", "P"),
    "imported": Look("#8a6100", "#f2b233", "X"),
}
"""Okabe and Ito's palette for colour-blind readers, darkened or lightened for contrast."""
OTHERS = (Look("#5b4bc4", "#a99bff", "p"), Look("#00798c", "#45c4d6", "h"), Look("#8b2635", "#ff8c9b", "*"))
"""For modes that have no look of their own, in the order of the study."""


def looks(modes: Iterable[str]) -> dict[str, Look]:
    """A look for each mode."""
    found: dict[str, Look] = {}
    for mode in modes:
        found.setdefault(mode, LOOKS.get(mode) or OTHERS[sum(m not in LOOKS for m in found) % len(OTHERS)])
    return found


def mode_name(mode: str) -> str:
    """A mode in words: ``few-shot``."""
    return {"real": "real, same size", "real_full": "real, full"}.get(mode, mode.replace("_", "-"))


def short(name: str) -> str:
    """A model's name without its provider."""
    return name.rsplit("/", 1)[-1]


def place(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """A comparison, synthesis or cell in words, its generator and classifier only where the study has several."""
    parts = [_rows_of(row, results)]
    for part in varying(results["comparisons"]):
        if row.get(part):
            parts.append(short(row[part]))
    return " · ".join(parts)


def _rows_of(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The mode; a smaller baseline, for a synthesis that fell short, is told from the main one by its size."""
    sizes = [
        other["n_train"] for other in results["comparisons"] if other["task"] == row["task"] and other["mode"] == "real"
    ]
    if row["mode"] == "real" and row["n_train"] < max(sizes, default=0):
        return f"real, {row['n_train']} rows"
    return mode_name(row["mode"])


def varying(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which of generator and classifier take several values in a study."""
    return [part for part in ("generator", "classifier") if len({row[part] for row in comparisons} - {None}) > 1]


def outcome(comparison: Mapping[str, Any], tolerance: float) -> Outcome:
    """What a gap's interval says: all above the tolerated loss, all below it, or across it."""
    gap = comparison["gap"]
    if gap is None:
        return "none"
    if gap["low"] >= -tolerance:
        return "yes"
    return "no" if gap["high"] < -tolerance else "open"


def best(comparisons: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The comparison of generated rows that loses least, or null when none has a gap."""
    known = [row for row in comparisons if row["gap"] is not None and row["generator"] is not None]
    return max(known, key=lambda row: float(row["gap"]["mean"]), default=None)
