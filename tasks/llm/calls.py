"""What one LLM call is: the request that shapes it and the completion that comes back.

These two records are all that the engine knows of any provider; a ``CompletionFunction`` is passed in, so tests pass a
fake.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks.config import GeneratorConfig
from tasks.jsonl import encodable
from tasks.llm import embedded
from tasks.records import content_key

Message = dict[str, str]
"""One message of a conversation: ``role`` and ``content``."""

MOST_MESSAGE_TOKENS = 16
"""Tokens that a chat format may add to a message."""

TEXT_TOKENS = 8
"""Tokens that surround a text: its number or quotes, and the end of the answer."""
LONGEST_ANSWER = 4
"""Tokens allowed per word asked for: twice the words asked for, at up to two tokens a word."""
WAITING = 0.25
"""Calls that are prepared (rendered and reserved) beyond those in flight, as a share of these. A prepared call can be
sent as soon as another one is answered, before that answer is written to the disk and filtered."""


class UnwantedError(Exception):
    """The call was not made, because it was no longer needed when it could be sent."""


def always() -> bool:
    """For a request that is always needed."""
    return True


class Attempts(Protocol):
    """Pays for the attempts of a call. The first one is reserved before the call is passed on."""

    async def reserve(self) -> None:
        """Set aside what the next attempt may cost, where that is not done yet; raises ``BudgetReachedError``."""

    def lost(self) -> None:
        """Count the attempt under way as paid for: it may be billed, though its answer was lost."""


class Unpaid:
    """For a call outside of any budget."""

    async def reserve(self) -> None:
        """Nothing to set aside."""

    def lost(self) -> None:
        """Nothing to count."""


@dataclass(frozen=True)
class Request:
    """One call. Everything in it but the generator's limits, ``wanted`` and ``attempts`` shapes the answer."""

    messages: tuple[Message, ...]
    generator: GeneratorConfig
    max_tokens: int
    """Of each answer."""
    seed: int
    completions: int = 1
    """Answers wanted."""
    response_format: Mapping[str, Any] | None = None
    """Schema of each answer, as OpenAI's API takes it; null where none is asked for."""
    wanted: Callable[[], bool] = field(default=always, compare=False, repr=False)
    """Whether the call is still needed; asked right before it is sent, perhaps long after it was prepared."""
    attempts: Attempts = field(default_factory=Unpaid, compare=False, repr=False)
    """Told of every attempt beyond the first, and of those whose answer was lost."""

    @property
    def prompt_hash(self) -> str:
        """Content key of the messages."""
        return content_key(self.messages)

    @property
    def most_tokens_in(self) -> int:
        """Upper limit of the prompt's tokens: a token has at least a byte. A schema may become part of the prompt."""
        schema = len(json.dumps(self.response_format)) if self.response_format else 0
        return schema + sum(len(message["content"].encode()) + MOST_MESSAGE_TOKENS for message in self.messages)

    @property
    def most_tokens_out(self) -> int:
        """Upper limit of the answers' tokens: each answer ends at ``max_tokens``."""
        return self.max_tokens * self.completions


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers that a call gave."""

    text: str
    """Empty when the provider answered without one (content filter)."""
    finish_reason: str
    """``stop``, ``length`` (cut off at ``max_tokens``), ``content_filter``, ..."""

    def __post_init__(self) -> None:
        for name in ("text", "finish_reason"):  # half a character cannot be stored, hashed or sent again
            object.__setattr__(self, name, encodable(str(getattr(self, name))))


@dataclass(frozen=True)
class Completion:
    """A completed call."""

    answers: tuple[Answer, ...]
    model: str
    """The model that the provider says answered."""
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    """Null when the price is unknown."""
    estimated: bool = False
    """The provider did not say how many tokens it took, so they are the most that there can have been."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", encodable(self.model))


CompletionFunction = Callable[[Request], Awaitable[Completion]]
"""Sends one request. Raises ``RunError`` when it cannot be answered, its own retries included, and may raise
``UnwantedError`` instead of sending what is not wanted any more. Before it repeats an attempt, it tells the request's
``attempts``; an attempt of which it says nothing was not billed where it raises one of these, else it may have been."""


def sampling(generator: GeneratorConfig) -> dict[str, Any]:
    """The parameters that a generator samples with: a packaged model's tuned ones, then those the user set."""
    params = embedded.defaults(generator.model) if embedded.is_embedded(generator.model) else {}
    if generator.texts_per_call > 1:
        params.pop("grammar", None)  # it is for one line
    if generator.temperature is not None:
        params["temperature"] = generator.temperature
    return {**params, **generator.params}


def completions(generator: GeneratorConfig) -> int:
    """Answers that a generator draws from one prompt."""
    default = embedded.COMPLETIONS if embedded.is_embedded(generator.model) else 1
    return generator.completions or default


def in_flight(generator: GeneratorConfig) -> int:
    """Most calls of a synthesis at once: those in flight, and some that are prepared."""
    if embedded.is_embedded(generator.model):
        return min(generator.concurrency, embedded.SLOTS // completions(generator) + embedded.WAITING)
    return generator.concurrency + math.ceil(WAITING * generator.concurrency)


def longest_answer(generator: GeneratorConfig, max_words: int) -> int:
    """``max_tokens`` of a call for texts of at most ``max_words`` words."""
    if generator.max_tokens is not None:
        return generator.max_tokens
    per_word = embedded.TOKENS_PER_WORD if embedded.is_embedded(generator.model) else LONGEST_ANSWER
    return (int(max_words * per_word) + TEXT_TOKENS) * generator.texts_per_call
