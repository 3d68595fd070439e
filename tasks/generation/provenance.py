"""Provenance of generated rows: the call of each row, and the row's share of the call's tokens and cost."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tasks.generation.synthesize import CALLS, JOURNAL, KIND, Call, read_rows
from tasks.records import Row
from tasks.store import Store


def trace(store: Store, key: str) -> list[dict[str, Any]]:
    """Kept, then rejected rows of a synthesis with their provenance, one flat mapping each.

    ``tokens_in``, ``tokens_out`` and ``cost_usd`` are the call's, divided equally among its filtered texts; the cost is
    null if the price is unknown. Raises ``FileNotFoundError`` without the synthesis.
    """
    kept, rejected = read_rows(store, key)
    calls = _calls(store, key)
    shares = Counter(row.call for row in (*kept, *rejected))
    if missing := shares.keys() - calls.keys():
        raise store.damaged(KIND, key, f"nothing is known of call {min(missing)}")
    return [_traced(row, calls[row.call], shares[row.call]) for row in (*kept, *rejected)]


def _calls(store: Store, key: str) -> Mapping[str, Call]:
    """Calls by id. Raises ``FileNotFoundError``."""
    try:
        found = store.rows(KIND, key, CALLS, Call)
    except FileNotFoundError:
        if store.as_it_stands(KIND, key, JOURNAL) is None:
            raise  # the error about the calls: only artifacts of schema 0 have a copy of the journal instead
        found = store.rows(KIND, key, JOURNAL, Call)  # its entries have all fields of a call
    return {call.call: call for call in found}


def _traced(row: Row, entry: Call, share: int) -> dict[str, Any]:
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
