"""Where each generated row came from: its call in the journal, and its share of what the call took."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tasks.records import Row
from tasks.store import Store
from tasks.synthesis.journal import Entry, parse_entry
from tasks.synthesis.synthesize import JOURNAL, KIND, read_rows


def trace(store: Store, key: str) -> list[dict[str, Any]]:
    """Kept, then rejected rows of a synthesis with their provenance, one flat mapping each.

    ``tokens_in``, ``tokens_out`` and ``cost_usd`` are the call's, shared equally by the texts of it that were looked
    at; null where the price is unknown. Raises ``FileNotFoundError`` without the synthesis.
    """
    kept, rejected = read_rows(store, key)
    lines = store.file(KIND, key, JOURNAL).decode().splitlines()
    entries = {entry.call: entry for entry in (parse_entry(json.loads(line), JOURNAL) for line in lines)}
    shares = Counter(row.call for row in (*kept, *rejected))
    return [_traced(row, entries[row.call], shares) for row in (*kept, *rejected)]


def _traced(row: Row, entry: Entry, shares: Mapping[str, int]) -> dict[str, Any]:
    share = shares[row.call]
    return {
        "text": row.text,
        "label": row.label,
        "reason": row.reason,
        "evidence": row.evidence,
        "generator": entry.asked,
        "model_answered": entry.model,
        "call": row.call,
        "answer": row.answer,
        "seed": entry.seed,
        "prompt_hash": entry.prompt,
        "answered_at": entry.time,
        "tokens_in": entry.tokens_in / share,
        "tokens_out": entry.tokens_out / share,
        "cost_usd": None if entry.cost_usd is None else entry.cost_usd / share,
    }
