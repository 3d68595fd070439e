"""Export of generated data sets: Parquet with every row's provenance, and a card with the measured gap.

The card is a README.md with metadata for the Hugging Face hub. Rejected rows and their reasons are exported too,
because users of the kept rows may want to know what was left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tasks.errors import RunError, UserError
from tasks.generation.provenance import trace
from tasks.phrases import signed_points
from tasks.records import Comparison, FilterCounts, Interval, Synthesis
from tasks.reporting.results import Results, source_of
from tasks.settings import Settings
from tasks.store import Store

KEPT, REJECTED, CARD = "train.parquet", "rejected.parquet", "README.md"


def export(results: Results, settings: Settings, out: Path) -> list[Path]:
    """Write each generated data set of a study into its own folder below ``out``; returns the folders.

    Raises ``UserError`` for a study without data sets, ``RunError`` if a data set is no longer in the store or ``out``
    cannot be written.
    """
    made = list({item.key: item for item in reversed(results.syntheses) if item.status == "ok"}.values())[::-1]
    if not made:
        raise UserError(f"study {results.study!r} has no generated data set to export")
    store = Store(settings.store_url)
    return [_export(item, results, store, out / _name(item)) for item in made]


def _name(synthesis: Synthesis) -> str:
    parts = (synthesis.task, synthesis.mode, source_of(synthesis) or "", f"draw{synthesis.draw}")
    return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in parts)


def _export(synthesis: Synthesis, results: Results, store: Store, folder: Path) -> Path:
    try:
        rows = trace(store, synthesis.key)
    except FileNotFoundError as error:
        raise RunError(f"cannot trace the rows of {_name(synthesis)}: {error}") from None
    kept = [row for row in rows if row["reason"] is None]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(kept, folder / KEPT, leave_out=("reason", "evidence"))
        _write([row for row in rows if row["reason"] is not None], folder / REJECTED)
        (folder / CARD).write_text(card(synthesis, results), encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write to {str(folder)!r}: {error.strerror}") from None
    return folder


def _write(rows: Sequence[Mapping[str, Any]], path: Path, leave_out: Sequence[str] = ()) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    text, whole, number = pa.string(), pa.int64(), pa.float64()
    types = {"answer": whole, "seed": whole, "tokens_in": number, "tokens_out": number, "cost_usd": number}
    names = ["text", "label", "reason", "evidence", "generator", "model_answered", "call", "answer", "seed"]
    names += ["prompt_hash", "answered_at", "tokens_in", "tokens_out", "cost_usd"]
    schema = pa.schema([(name, types.get(name, text)) for name in names if name not in leave_out])
    parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)


def card(synthesis: Synthesis, results: Results) -> str:
    """The data-set card: Markdown with YAML metadata."""
    task = next(task for task in results.tasks if task.name == synthesis.task)
    cost, yields = synthesis.cost_usd, synthesis.yields
    steps = [field.name for field in fields(FilterCounts) if field.name != "rejected"]
    lines = [
        "---",
        "task_categories: [text-classification]",
        "tags: [synthetic, synthgap]",
        "configs:",
        f"- config_name: default\n  data_files: [{{split: train, path: {KEPT}}}]",
        f"- config_name: rejected\n  data_files: [{{split: train, path: {REJECTED}}}]",
        "---",
        f"# {task.title} Texts written by {source_of(synthesis)}",
        "",
        f"{yields.kept} texts in mode `{synthesis.mode}`, labels as asked for, not checked by people. "
        + _made(synthesis)
        + ("at an unknown price." if cost is None else f"${cost:.4f}."),
        "",
        "## What training on them costs",
        "",
        *_gaps(synthesis, results),
        "",
        "## How they were filtered",
        "",
        "| " + " | ".join(steps) + " |",
        "|" + "---|" * len(steps),
        "| " + " | ".join(str(getattr(yields, step)) for step in steps) + " |",
        "",
        *(f"- {reason}: {count}" for reason, count in sorted(yields.rejected.items())),
        "",
        "## Columns",
        "",
        "`text`, `label`; the model asked and the one that answered; `call` and `answer`, which name the answer in the "
        "journal; `seed`; `prompt_hash`; the row's share of its call's tokens and dollars. Rejected rows have `reason` "
        "and `evidence`.",
        "",
        "## Real data",
        "",
        f"Compared with, and in few-shot modes shown examples of: {task.source}. "
        f"Licence: {task.licence or 'not stated'}. {task.citation}".strip(),
    ]
    return "\n".join(lines) + "\n"


def _made(synthesis: Synthesis) -> str:
    """The origin of the texts, as the start of a sentence that ends with their price."""
    if not synthesis.calls:
        return "Imported, not written in this study, "
    return (
        f"Model that answered: {synthesis.model_answered}. Calls: {synthesis.calls}, "
        f"{synthesis.tokens_in:,} tokens read, {synthesis.tokens_out:,} written, "
    )


def _gaps(synthesis: Synthesis, results: Results) -> list[str]:
    """A line for each mode and classifier that use these rows: score, gap to as many real rows, and verdict."""
    modes = [item.mode for item in results.syntheses if item.key == synthesis.key]
    same = (synthesis.task, source_of(synthesis))
    found = [item for item in results.comparisons if item.mode in modes and (item.task, item.source) == same]
    lines = [_gap(item, item.macro_f1) for item in found if item.macro_f1]
    return lines or ["Not measured: no training on these rows finished."]


def _gap(item: Comparison, score: Interval) -> str:
    line = f"- {item.mode}, {item.classifier}: macro-F1 {score.mean:.3f} (95% {score.low:.3f} to {score.high:.3f})"
    if gap := item.gap:
        line += f", {signed_points(gap.mean)} points against as many real rows "
        line += f"(95% {signed_points(gap.low)} to {signed_points(gap.high)})"
    return f"{line}: {item.verdict}."
