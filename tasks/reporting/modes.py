"""How modes, generators and outcomes look and read, the same in every plot, table and sentence."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.analysis.decisions.verdict import good_enough
from tasks.records import Gap, GoodEnough, short


@dataclass(frozen=True, slots=True)
class Look:
    """A colour for light and for dark pages, both at least 3:1 against them, and a marker that needs no colour."""

    light: str
    dark: str
    marker: str

    @property
    def glyph(self) -> str:
        """The marker as text, for legends and tables."""
        return GLYPHS[self.marker]


GLYPHS = dict(zip("oD^svPX<>dph*", "●◆▲■▼✚✖◀▶♦⬟⬢★", strict=True))
LOOKS = {
    "real": Look("#1d1d1f", "#f0f0f2", "o"),
    "real_full": Look("#6e6e73", "#a1a1a6", "D"),
    "zero_shot": Look("#c4501b", "#ff8a4c", "^"),
    "few_shot": Look("#0b6bcb", "#5ab0ff", "s"),
    "pool_only": Look("#a83a7e", "#f08cc8", "v"),
    "pool_plus_synthetic": Look("#0a7d5a", "#3fd0a0", "P"),
    "imported": Look("#8a6100", "#f2b233", "X"),
    "majority": Look("#7a7a80", "#96969c", "d"),
    "llm_zero_shot": Look("#00798c", "#45c4d6", "<"),
    "llm_few_shot": Look("#00798c", "#45c4d6", ">"),
}
"""Okabe and Ito's palette for colour-blind readers, darkened or lightened for contrast."""
OTHERS = (Look("#5b4bc4", "#a99bff", "p"), Look("#4f6b00", "#a8c94a", "h"), Look("#8b2635", "#ff8c9b", "*"))
"""For modes that have no look of their own, in the order of the study."""
NAMES = {
    "real": "real, same size",
    "real_full": "real, full",
    "pool_only": "pool only",
    "pool_plus_synthetic": "pool + synthetic",
    "majority": "majority label",
    "llm_zero_shot": "LLM itself, zero-shot",
    "llm_few_shot": "LLM itself, few-shot",
}
BASELINES = ("majority", "llm_zero_shot", "llm_few_shot")
"""Rows of comparison: nothing is trained for them, so that they answer no question about training rows."""
MIX = re.compile(r"^mix/(\d+)(?:/(.+))?$")
MIX_FROM = "few_shot"
"""The mode whose rows a ``mix/<percent>`` holds that names none."""


def looks(modes: Iterable[str]) -> dict[str, Look]:
    """A look for each mode; mixes look like what is mixed in."""
    found: dict[str, Look] = {}
    for mode in modes:
        taken = sum(m not in LOOKS for m in found)
        known = LOOKS.get((mixed(mode)[1] or MIX_FROM) if MIX.match(mode) else mode)
        found.setdefault(mode, known or OTHERS[taken % len(OTHERS)])
    return found


def mode_name(mode: str) -> str:
    """A mode in words: ``few-shot``, ``90% synthetic, zero-shot``."""
    if MIX.match(mode):
        share, base = mixed(mode)
        return f"{share}% synthetic" + (f", {mode_name(base)}" if base else "")
    return NAMES.get(mode, mode.replace("_", "-"))


def mixed(mode: str) -> tuple[int, str]:
    """The percentage of synthetic rows of a ``mix/<percent>[/<mode>]``, and the mode that they come from, or none."""
    share, base = MIX.fullmatch(mode).groups()  # type: ignore[union-attr]
    return int(share), base or ""


def all_synthetic(row: Mapping[str, Any]) -> bool:
    """Whether a comparison's classifier was trained on generated rows and nothing else."""
    mode = row["mode"]
    return row["generator"] is not None and not (mode in BASELINES or mode == "pool_plus_synthetic" or MIX.match(mode))


def judged(row: Mapping[str, Any]) -> bool:
    """Whether a comparison has an answer to whether its generated rows are good enough."""
    return row["gap"] is not None and row["generator"] is not None and row["mode"] not in BASELINES


def llm(row: Mapping[str, Any]) -> str | None:
    """The LLM of a row; null for real rows and for imported ones, whose generator names where they are from."""
    return None if row["mode"] == "imported" else row["generator"]


def place(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """A comparison, synthesis or cell in words, its generator and classifier only where the study has several."""
    parts = [rows_of(row, results)]
    for part in varying(results["comparisons"]):
        name = llm(row) if part == "generator" else None if row["mode"] in BASELINES else row.get("classifier")
        if name:
            parts.append(short(name))
    return " · ".join(parts)


def rows_of(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The mode, and of imported rows where they are from; a smaller baseline, for a synthesis that fell short, is told
    from the main one by its size.
    """
    same = ("task", "mode", "classifier")
    if row["mode"] == "real" and row.get("n_train"):
        others = [other for other in results["comparisons"] if all(other[part] == row[part] for part in same)]
        if row["n_train"] < max((other["n_train"] or 0 for other in others), default=0):
            return f"real, {row['n_train']} rows"
    if row["mode"] == "imported" and row.get("generator"):
        return f"{mode_name(row['mode'])} · {short(row['generator'])}"
    return mode_name(row["mode"])


def varying(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which of generator and classifier take several values in a study."""
    generators = {llm(row) for row in comparisons} - {None}
    classifiers = {row["classifier"] for row in comparisons if row["mode"] not in BASELINES}
    return [name for name, found in (("generator", generators), ("classifier", classifiers)) if len(found) > 1]


def outcome(comparison: Mapping[str, Any], tolerance: float) -> GoodEnough:
    """Whether a comparison's rows are good enough; results of earlier versions do not say it, their gaps do."""
    said: GoodEnough | None = comparison.get("good_enough")
    gap = comparison["gap"]
    return said or good_enough(Gap(**gap) if gap else None, tolerance)


def best(comparisons: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The comparison of generated rows that loses least, or null when none has a gap.

    Rows that are generated throughout come first, whatever they lose: the question is whether they are good enough.
    """
    known = [row for row in comparisons if judged(row)]
    pure = [row for row in known if all_synthetic(row)]
    return max(pure or known, key=lambda row: float(row["gap"]["mean"]), default=None)
