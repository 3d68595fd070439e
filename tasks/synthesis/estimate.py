"""What a synthesis would cost, before anything is spent: no network, no LLM, no litellm.

Calls come from the share of texts that earlier syntheses of the same mode and generator kept, tokens from the rendered
prompts at four characters a token (English text in the tokenizers of common LLMs: 3.8 to 4.5).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.records import SynthesisJob, TaskData
from tasks.settings import Settings
from tasks.store import Store
from tasks.synthesis import calls, embedded, keys
from tasks.synthesis.journal import read_journal
from tasks.synthesis.prices import price

CHARACTERS_PER_TOKEN = 4.0
MESSAGE_TOKENS = 5
"""Tokens that a chat format adds to a message."""
TOKENS_PER_WORD = 1.4
FIRST_GUESS = 0.8
"""Share of texts kept, before anything is known of a mode and generator."""
SAMPLES = 4
"""Prompts rendered per label."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is still to be asked; zeros for a synthesis that is in the store."""

    calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    """Null when the price is unknown."""
    seconds: float | None
    """Null when nothing is known of the generator's speed."""


@dataclass(frozen=True, slots=True)
class _Past:
    """What earlier syntheses of the same mode and generator came to."""

    kept_share: float
    seconds_per_call: float | None
    words_share: float = 0.7


def estimate(job: SynthesisJob, data: TaskData, settings: Settings) -> Estimate:
    """What a synthesis would still ask for and cost; calls that the journal holds are paid for."""
    store = Store(settings.store_url)
    if job.imported is not None or store.get("syntheses", keys.synthesis_key(job, data)) is not None:
        return Estimate(0, 0, 0, 0.0, 0.0)
    past = _past(job, store)
    writer = keys.writer_of(job)
    journal = settings.home / "journals" / f"{keys.calls_key(job, data)}.jsonl"
    wanted = min(1 / past.kept_share, 1 + job.extra_texts) * sum(job.rows.values())
    a_call = calls.completions(job.generator) * job.generator.texts_per_call
    missing = max(0, math.ceil(wanted / a_call) - len(read_journal(journal)))
    tokens_in = round(missing * _prompt_tokens(job, data, writer.turns))
    tokens_out = round(missing * a_call * job.task.max_words * past.words_share * TOKENS_PER_WORD)
    known = price(job.generator)
    cost = known.of(tokens_in, tokens_out) if known else None
    return Estimate(missing, tokens_in, tokens_out, cost, _seconds(job, past, missing, tokens_in, tokens_out))


def _prompt_tokens(job: SynthesisJob, data: TaskData, turns: int) -> float:
    """Mean tokens of a prompt, over labels, a few calls and the turns of a conversation."""
    text = " ".join(["word"] * (job.task.max_words * 2 // 3))
    sizes = [
        sum(len(message["content"]) / CHARACTERS_PER_TOKEN + MESSAGE_TOKENS for message in messages)
        for label in job.task.labels
        for i in range(SAMPLES)
        for messages in [keys.request(job, data, label, i * turns + i % turns, (text,) * (i % turns)).messages]
    ]
    return sum(sizes) / len(sizes)


def _past(job: SynthesisJob, store: Store) -> _Past:
    """What is known from the store: of the same task where there is something, else of any."""
    manifests = [store.get("syntheses", key) for key in store.keys("syntheses")]
    stored = [manifest["synthesis"] for manifest in manifests if manifest is not None]
    found = [item for item in stored if (item["mode"], item["generator"]) == (job.mode, job.generator.model)]
    return _summary([item for item in found if item["task"] == job.task.name] or found)


def _summary(found: Sequence[dict[str, Any]]) -> _Past:
    requested = sum(item["yields"]["requested"] for item in found)
    kept = sum(item["yields"]["kept"] for item in found)
    calls = sum(item["calls"] for item in found)
    if not requested or not kept or not calls:
        return _Past(FIRST_GUESS, None)
    return _Past(kept / requested, sum(item["seconds"] for item in found) / calls)


def _seconds(job: SynthesisJob, past: _Past, calls: int, tokens_in: int, tokens_out: int) -> float | None:
    if past.seconds_per_call is not None:
        return calls * past.seconds_per_call
    if embedded.is_embedded(job.generator.model):
        return tokens_in / embedded.PROMPT_RATE + tokens_out / embedded.ANSWER_RATE
    return None
