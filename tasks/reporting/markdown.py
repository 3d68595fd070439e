"""A results object in a page of Markdown, for the Prefect artifact and the description of the MLflow run."""

import re
from collections.abc import Mapping
from typing import Any

from tasks.reporting import champions, words
from tasks.reporting.modes import judged, outcome, place
from tasks.reporting.sections import in_order

WORDS = {"yes": "✓ yes", "no": "✗ no", "undecided": "? undecided", "none": ""}


def markdown(results: Mapping[str, Any]) -> str:
    """The table of scores and gaps, the verdicts, what they mean, who is best, the findings, what failed and what it
    took.
    """
    titles = {task["name"]: task["title"] for task in results["tasks"]}
    lines = [f"# {_plain(results['study'])}: can I train on synthetic data?", ""]
    lines += [
        "| task | training rows | macro-F1 | gap in points | good enough? | verdict |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(results, titles, row) for row in in_order(results, results["comparisons"])]
    said = words.summary(results)
    if said:
        lines += ["", "**What it means**", "", *(f"- {_plain(sentence)}" for sentence in said)]
    if best := champions.sentences(results):
        lines += ["", "**The best so far**", "", *(f"- {_plain(sentence)}" for sentence in best)]
    lines += _findings(results)
    failed = [row for row in results["cells"] if row["status"] != "ok"]
    if failed:
        lines += ["", f"**{len(failed)} of {len(results['cells'])} cells failed:**", ""]
        errors = dict.fromkeys(str(row["error"]) for row in failed)
        lines += [f"- {_plain(error)}" for error in errors]
    return "\n".join([*lines, "", _took(results["totals"]), ""])


def _findings(results: Mapping[str, Any]) -> list[str]:
    found = results.get("findings") or ()
    if not found:
        return []
    rows = ((finding["claim"], finding["verdict"], finding["evidence"]) for finding in found)
    lines = [f"| {' | '.join(map(_plain, row))} |" for row in rows]
    return ["", "| finding of the paper | here | evidence |", "|---|---|---|", *lines]


def _row(results: Mapping[str, Any], titles: Mapping[str, str], row: Mapping[str, Any]) -> str:
    state = outcome(row, results["config"]["tolerance"]) if judged(row) else "none"
    score, gap = row["macro_f1"], row["gap"]
    cells = [
        titles.get(row["task"], row["task"]),
        place(row, results),
        f"{score['mean']:.3f} ({score['low']:.2f} to {score['high']:.2f})" if score else "–",
        f"{100 * gap['mean']:+.1f} ({100 * gap['low']:+.1f} to {100 * gap['high']:+.1f})" if gap else "–",
        WORDS[state],
        row["verdict"],
    ]
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _took(totals: Mapping[str, Any]) -> str:
    cost = "price unknown" if totals["cost_usd"] is None else f"${totals['cost_usd']:.2f}"
    tokens = totals["tokens_in"] + totals["tokens_out"]
    return f"{totals['cells']} cells, {totals['calls']:,} LLM calls, {tokens:,} tokens, {cost}."


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is: errors and titles are not ours."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split())).replace("\\<", "&lt;").replace("\\>", "&gt;")
