"""Results as a page of Markdown, for the Prefect artifact and the description of the MLflow run."""

import re
from collections.abc import Mapping, Sequence

from tasks.phrases import signed_points
from tasks.records import Comparison
from tasks.reporting.grouping import in_order
from tasks.reporting.modes import MARKS, answer, place
from tasks.reporting.results import Results, Totals
from tasks.reporting.section import Section, Table
from tasks.reporting.sections import SECTIONS, summary


def markdown(results: Results, sections: Sequence[Section] = SECTIONS) -> str:
    """The table of scores, gaps and verdicts, sentences and tables of the sections, failures, and costs."""
    titles = {task.name: task.title for task in results.tasks}
    lines = [f"# {_plain(results.study)}: can I train on synthetic data?", ""]
    lines += [
        "| task | training rows | macro-F1 | gap in points | good enough? | verdict |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(results, titles, row) for row in in_order(results, results.comparisons)]
    by_heading = {"What it means": summary(results, sections)}
    by_heading |= {section.heading: list(section.sentences(results)) for section in sections if section.heading}
    for heading, sentences in by_heading.items():
        if sentences:
            lines += ["", f"**{heading}**", "", *(f"- {_plain(sentence)}" for sentence in sentences)]
    for section in sections:
        if table := section.table(results):
            lines += ["", *_table(table)]
    failed = [row for row in results.cells if row.status != "ok"]
    if failed:
        lines += ["", f"**{len(failed)} of {len(results.cells)} cells failed:**", ""]
        errors = dict.fromkeys(str(row.error) for row in failed)
        lines += [f"- {_plain(error)}" for error in errors]
    return "\n".join([*lines, "", _took(results.totals), ""])


def _table(table: Table) -> list[str]:
    rows = [f"| {' | '.join(map(_plain, row))} |" for row in (table.heads, *table.rows)]
    return [rows[0], "|" + "---|" * len(table.heads), *rows[1:]]


def _row(results: Results, titles: Mapping[str, str], row: Comparison) -> str:
    state = answer(row)
    score, gap = row.macro_f1, row.gap
    cells = [
        titles.get(row.task, row.task),
        place(row, results),
        f"{score.mean:.3f} ({score.low:.2f} to {score.high:.2f})" if score else "–",
        f"{signed_points(gap.mean)} ({signed_points(gap.low)} to {signed_points(gap.high)})" if gap else "–",
        "" if state == "none" else f"{MARKS[state]} {state}",
        row.verdict,
    ]
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _took(totals: Totals) -> str:
    cost = "price unknown" if totals.cost_usd is None else f"${totals.cost_usd:.2f}"
    tokens = totals.tokens_in + totals.tokens_out
    return f"{totals.cells} cells, {totals.calls:,} LLM calls, {tokens:,} tokens, {cost}."


def _plain(text: str) -> str:
    """Text with escaped Markdown and HTML, because errors and titles may contain anything."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split())).replace("\\<", "&lt;").replace("\\>", "&gt;")
