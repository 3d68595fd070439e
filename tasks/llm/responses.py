"""Texts, tokens and cost of a provider's answer; numbers that the provider does not report are upper limits."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any

from tasks.config import GeneratorConfig
from tasks.llm import calls, embedded
from tasks.llm.calls import Answer, Completion, Request
from tasks.llm.library import litellm
from tasks.llm.prices import price
from tasks.llm.salvage import salvaged

LARGEST_WINDOW = 10_000_000
"""More tokens than any model reads or writes in one call: a higher number is wrong."""


def read_completion(response: Any, request: Request) -> Completion:
    """The completion of an answer that litellm has parsed."""
    answers = tuple(
        Answer(choice.message.content or "", choice.finish_reason or "unknown") for choice in response.choices
    ) or (Answer("", "no_choice"),)
    model = response.model or ""
    if embedded.is_embedded(request.generator.model):
        return Completion(answers, model, response.usage.prompt_tokens, response.usage.completion_tokens, 0.0)
    thought = sum(
        len((getattr(choice.message, "reasoning_content", None) or "").encode()) for choice in response.choices
    )
    tokens_in, tokens_out, estimated = _tokens(response, request, answers, thought)
    cost = _cost(response, request.generator, tokens_in, tokens_out, estimated)
    return Completion(answers, model, tokens_in, tokens_out, cost, estimated)


def read_salvaged(body: bytes, request: Request) -> Completion | None:
    """The completion of a complete answer that litellm cannot parse; null if it is no chat completion."""
    found = salvaged(body)
    if found is None:
        return None
    answers, model = found
    known, tokens_in, tokens_out = price(request.generator), request.most_tokens_in, request.most_tokens_out
    cost = known.most(tokens_in, tokens_out) if known else None
    return Completion(answers, model, tokens_in, tokens_out, cost, estimated=True)


def _tokens(response: Any, request: Request, answers: Sequence[Answer], thought: int) -> tuple[int, int, bool]:
    """Tokens read and written, and whether they are upper bounds because the provider does not report them.

    ``thought`` is the size of the model's reasoning, in bytes.
    """
    usage = getattr(response, "usage", None)
    read, written = (_counted(getattr(usage, name, None)) for name in ("prompt_tokens", "completion_tokens"))
    silent = written == 0 and not thought and not any(item.text or item.finish_reason == "length" for item in answers)
    if read and (written or silent):
        return read, written or 0, False
    most_out = sum(_most_tokens(answer, request.max_tokens) for answer in answers) + thought
    return read or request.most_tokens_in, min(request.most_tokens_out, most_out), True


def _counted(tokens: object) -> int | None:
    """A plausible number of tokens; null for any other value."""
    return int(tokens) if isinstance(tokens, int | float) and 0 <= tokens <= LARGEST_WINDOW else None


def _most_tokens(answer: Answer, max_tokens: int) -> int:
    """Most tokens of an answer without a count: a token has at least a byte. It may be all reasoning."""
    if not answer.text or answer.finish_reason == "length":
        return max_tokens
    return len(answer.text.encode()) + calls.TEXT_TOKENS


def _cost(response: Any, generator: GeneratorConfig, tokens_in: int, tokens_out: int, estimated: bool) -> float | None:
    known = price(generator)
    if known is None:
        return None
    if estimated:
        return known.most(tokens_in, tokens_out)
    cost = 0.0
    if not generator.price:
        with contextlib.suppress(Exception):  # litellm raises it for providers whose prices it cannot apply
            cost = float(litellm.completion_cost(completion_response=response, model=generator.model))
    return cost if 0 < cost < math.inf else known.of(tokens_in, tokens_out)


def filtered_completion(request: Request) -> Completion:
    """The completion of a refused prompt, with the cost of reading it, because some providers bill that."""
    known, tokens = price(request.generator), request.most_tokens_in
    cost = known.most(tokens, 0) if known else None
    return Completion((Answer("", "content_filter"),), request.generator.model, tokens, 0, cost, estimated=True)
