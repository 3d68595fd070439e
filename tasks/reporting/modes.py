"""Names, colours and markers of modes, generators and outcomes, the same in every plot, table and sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tasks.modes import MATCHED_REAL, mode_facts
from tasks.records import Comparison, Configured, GoodEnough, Trial, short
from tasks.reporting.results import Results, source_of


class HasMode(Protocol):
    """A record with a mode: a comparison, cell, synthesis, curve or correlation."""

    @property
    def mode(self) -> str:
        """Name of the mode of its training rows."""

    @property
    def source(self) -> str | Configured | None:
        """The source of these rows; null for real rows."""


@dataclass(frozen=True, slots=True)
class Look:
    """A colour for light and one for dark pages (contrast at least 3:1), and a marker that is clear without colour."""

    light: str
    dark: str
    marker: str

    @property
    def glyph(self) -> str:
        """The marker as text, for legends and tables."""
        return GLYPHS[self.marker]


MARKS: dict[GoodEnough, str] = {"yes": "✓", "no": "✗", "undecided": "?", "none": "–"}
"""Marks for the answer whether generated rows are good enough."""
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
"""Okabe and Ito's palette for colour-blind readers, darker or lighter for more contrast."""
OTHERS = (Look("#5b4bc4", "#a99bff", "p"), Look("#4f6b00", "#a8c94a", "h"), Look("#8b2635", "#ff8c9b", "*"))
"""Looks of other modes, in the order of the study."""


def looks(modes: Iterable[str]) -> dict[str, Look]:
    """A look for each mode. A mix has the look of its generated rows."""
    known, found = dict(LOOKS), {}
    for mode in modes:
        base = mixed_in(mode) or mode
        known.setdefault(base, OTHERS[(len(known) - len(LOOKS)) % len(OTHERS)])
        found[mode] = known[base]
    return found


def mode_name(mode: str) -> str:
    """Title of a mode: ``few-shot``, ``90% synthetic, zero-shot``."""
    return mode_facts(mode).title


def mixed_in(mode: str) -> str | None:
    """The mode of the generated rows in a mix with real rows; null if the mode is no mix."""
    facts = mode_facts(mode)
    return None if facts.percent_generated is None else facts.source


def all_synthetic(row: HasMode) -> bool:
    """Whether the classifier was trained on generated rows only."""
    return mode_facts(row.mode).all_synthetic


def judged(row: Comparison) -> bool:
    """Whether a comparison answers if its generated rows are good enough."""
    return row.gap is not None and mode_facts(row.mode).synthetic


def answer(row: Comparison) -> GoodEnough:
    """Whether the generated rows of a comparison are good enough; ``none`` if it has none, or no gap."""
    return row.good_enough if judged(row) else "none"


def llm(row: HasMode) -> str | None:
    """The LLM of a record; null for real rows and for imported rows, whose source is no LLM."""
    return None if "imported" in mode_facts(row.mode).rows else source_of(row)


def place(row: HasMode, results: Results) -> str:
    """Name of a comparison, synthesis or cell, with generator and classifier only if the study has several."""
    parts = [rows_of(row, results)]
    for part in varying(results.comparisons):
        name = llm(row) if part == "generator" else trained(row)
        if name:
            parts.append(short(name))
    return " · ".join(parts)


def trained(row: HasMode) -> str | None:
    """The classifier that was trained; null for a synthesis, and without training."""
    return None if mode_facts(row.mode).untrained else getattr(row, "classifier", None)


def rows_of(row: HasMode, results: Results) -> str:
    """Name of the training rows: the mode, and the source of imported rows.

    Real rows that match a synthesis with too few rows have their number in the name.
    """
    if row.mode == MATCHED_REAL and isinstance(row, Comparison | Trial) and row.n_train:
        same = (row.task, row.mode, row.classifier)
        others = [item for item in results.comparisons if (item.task, item.mode, item.classifier) == same]
        if row.n_train < max((other.n_train or 0 for other in others), default=0):
            return f"real, {row.n_train} rows"
    source = source_of(row)
    if source and "imported" in mode_facts(row.mode).rows:
        return f"{mode_name(row.mode)} · {short(source)}"
    return mode_name(row.mode)


def varying(comparisons: Sequence[Comparison]) -> list[str]:
    """``generator`` and ``classifier``, if the study has several of them."""
    generators = {llm(row) for row in comparisons} - {None}
    classifiers = {trained(row) for row in comparisons} - {None}
    return [name for name, found in (("generator", generators), ("classifier", classifiers)) if len(found) > 1]


def best(comparisons: Iterable[Comparison]) -> Comparison | None:
    """The comparison of generated rows with the smallest loss; null if none has a gap.

    Training sets with only generated rows have priority, because the question is whether they are good enough.
    """
    known = [row for row in comparisons if judged(row)]
    pure = [row for row in known if all_synthetic(row)]
    return max(pure or known, key=lambda row: row.gap.mean if row.gap else 0.0, default=None)
