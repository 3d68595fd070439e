"""Estimated cost of a synthesis before any call: needs no network, no LLM, no litellm.

The number of calls follows from the share of texts that earlier syntheses of the same mode and generator kept. The
number of tokens follows from their tokens on the same task. If there are none, tokens of rendered prompts are counted
and those of answers are guessed from the length of the texts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.generation import keys
from tasks.generation.synthesize import StoredSynthesis
from tasks.llm import calls, embedded
from tasks.llm.estimate import NOTHING, Estimate
from tasks.llm.journal import read_journal
from tasks.llm.prices import price
from tasks.llm.tokens import count_messages
from tasks.records import Synthesis, SynthesisJob, TaskData
from tasks.settings import Settings
from tasks.store import Store

TOKENS_PER_WORD = 1.4
FIRST_GUESS = 0.8
"""Assumed share of texts kept if there is no earlier synthesis of the mode and generator."""
WORDS_SHARE = 0.7
"""Assumed length of a text as a share of the greatest length that the prompt allows."""
SAMPLES = 4
"""Prompts rendered per label."""


@dataclass(frozen=True, slots=True)
class _Past:
    """Averages of earlier syntheses of the same mode and generator."""

    kept_share: float = FIRST_GUESS
    seconds_per_text: float | None = None
    tokens_in_per_call: float | None = None
    """Null if there is no earlier synthesis of the same task."""
    tokens_out_per_text: float | None = None


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over earlier syntheses."""

    requested: int = 0
    kept: int = 0
    calls: int = 0
    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, made: Synthesis) -> "_Sums":
        return _Sums(
            self.requested + made.yields.requested,
            self.kept + made.yields.kept,
            self.calls + made.calls,
            self.seconds + made.seconds,
            self.tokens_in + made.tokens_in,
            self.tokens_out + made.tokens_out,
        )


Experience = Mapping[tuple[str, ...], _Sums]
"""Sums of earlier syntheses by (mode, generator), and by (mode, generator, task)."""


def experience(store: Store) -> Experience:
    """Sums over all syntheses in a store. Read them once for all estimates of a plan."""
    sums: dict[tuple[str, ...], _Sums] = {}
    for found in store.past("syntheses", StoredSynthesis):
        made = found.synthesis
        for place in ((made.mode, made.generator), (made.mode, made.generator, made.task)):
            sums[place] = sums.get(place, _Sums()) + made
    return sums


def estimate(job: SynthesisJob, data: TaskData, settings: Settings, earlier: Experience) -> Estimate:
    """Remaining calls and cost of a synthesis that the store lacks, without the calls that its journal already has."""
    if job.imported is not None:
        return NOTHING
    past = _past(job, earlier)
    template = keys.template_of(job)
    journal = settings.home / "journals" / f"{keys.calls_key(job, data)}.jsonl"
    wanted = min(1 / past.kept_share, 1 + job.extra_texts) * sum(job.rows.values())
    a_call = calls.completions(job.generator) * job.generator.texts_per_call
    missing = max(0, math.ceil(wanted / a_call) - len(read_journal(journal)))
    per_prompt = past.tokens_in_per_call or (_prompt_tokens(job, data, template.turns) if missing else 0)
    per_text = past.tokens_out_per_text or job.task.max_words * WORDS_SHARE * TOKENS_PER_WORD
    tokens_in, tokens_out = round(missing * per_prompt), round(missing * a_call * per_text)
    known = price(job.generator)
    cost = known.of(tokens_in, tokens_out) if known else None
    return Estimate(missing, tokens_in, tokens_out, cost, _seconds(job, past, missing * a_call, tokens_in, tokens_out))


def _prompt_tokens(job: SynthesisJob, data: TaskData, turns: int) -> float:
    """Mean number of tokens of a prompt over labels, a few calls and the turns of a conversation."""
    text = " ".join(["word"] * (job.task.max_words * 2 // 3))
    sizes = [
        count_messages(messages)
        for label in job.task.labels
        for i in range(SAMPLES)
        for messages in [keys.request(job, data, label, i * turns + i % turns, (text,) * (i % turns)).messages]
    ]
    return sum(sizes) / len(sizes)


def _past(job: SynthesisJob, past: Experience) -> _Past:
    """Averages on the same task if there are any, else on all tasks and without token counts."""
    maker = job.mode, job.generator.model
    same_task = _means(past.get((*maker, job.task.name)))
    if same_task:
        return same_task
    other = _means(past.get(maker)) or _Past()
    return replace(other, tokens_in_per_call=None, tokens_out_per_text=None)


def _means(sums: _Sums | None) -> _Past | None:
    if sums is None or not sums.requested or not sums.kept or not sums.calls:
        return None
    return _Past(
        kept_share=sums.kept / sums.requested,
        seconds_per_text=sums.seconds / sums.requested,
        tokens_in_per_call=sums.tokens_in / sums.calls,
        tokens_out_per_text=sums.tokens_out / sums.requested,
    )


def _seconds(job: SynthesisJob, past: _Past, texts: int, tokens_in: int, tokens_out: int) -> float | None:
    if past.seconds_per_text is not None:
        return texts * past.seconds_per_text
    if embedded.is_embedded(job.generator.model):
        return tokens_in / embedded.PROMPT_RATE + tokens_out / embedded.ANSWER_RATE
    return None
