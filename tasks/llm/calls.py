"""One LLM call: the request and the completion.

These types do not depend on the provider. A ``CompletionFunction`` is passed in, so tests pass a fake.
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
"""Tokens allowed for each word asked for: twice the words, at up to two tokens a word."""
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
        """Reserve what the next attempt may cost, if that is not done yet; raises ``BudgetReachedError``."""

    def lost(self) -> None:
        """Count the current attempt as paid for: it may be billed, although its answer was lost."""


class Unpaid:
    """For a call outside of any budget."""

    async def reserve(self) -> None:
        """Nothing to reserve."""

    def lost(self) -> None:
        """Nothing to count."""


@dataclass(frozen=True)
class Request:
    """One call. Everything except the generator's limits, ``wanted`` and ``attempts`` affects the answer."""

    messages: tuple[Message, ...]
    generator: GeneratorConfig
    max_tokens: int
    """Most tokens of each answer."""
    seed: int
    completions: int = 1
    """Number of answers."""
    response_format: Mapping[str, Any] | None = None
    """JSON schema of each answer, in the form of OpenAI's API; null for free text."""
    wanted: Callable[[], bool] = field(default=always, compare=False, repr=False)
    """Whether the call is still needed; called right before it is sent, perhaps long after it was prepared."""
    attempts: Attempts = field(default_factory=Unpaid, compare=False, repr=False)
    """Notified of every attempt after the first, and of those whose answer was lost."""

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
    """One answer of a call."""

    text: str
    """Empty if the provider returned no text (content filter)."""
    finish_reason: str
    """``stop``, ``length`` (cut off at ``max_tokens``), ``content_filter``, ..."""

    def __post_init__(self) -> None:
        for name in ("text", "finish_reason"):  # a lone surrogate cannot be stored, hashed or sent again
            object.__setattr__(self, name, encodable(str(getattr(self, name))))


@dataclass(frozen=True)
class Completion:
    """A completed call."""

    answers: tuple[Answer, ...]
    model: str
    """The model that answered, as the provider reports it."""
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    """Null if the price is unknown."""
    estimated: bool = False
    """The provider did not report its tokens; the numbers are the most that it can have used."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", encodable(self.model))


CompletionFunction = Callable[[Request], Awaitable[Completion]]
"""Sends one request. Raises ``RunError`` if it is not answered after all retries, and may raise ``UnwantedError``
instead of sending a request that is no longer wanted. It notifies the request's ``attempts`` before it repeats an
attempt. If it raises one of these errors, attempts that were not notified were not billed; otherwise they may have
been."""


def sampling(generator: GeneratorConfig) -> dict[str, Any]:
    """A generator's sampling parameters: the tuned ones of a packaged model, then those that the user set."""
    params = embedded.defaults(generator.model) if embedded.is_embedded(generator.model) else {}
    if generator.texts_per_call > 1:
        params.pop("grammar", None)  # it is for one line
    if generator.temperature is not None:
        params["temperature"] = generator.temperature
    return {**params, **generator.params}


def completions(generator: GeneratorConfig) -> int:
    """Number of answers that a generator draws from one prompt."""
    default = embedded.COMPLETIONS if embedded.is_embedded(generator.model) else 1
    return generator.completions or default


def in_flight(generator: GeneratorConfig) -> int:
    """Most calls of a synthesis at a time: those in flight, and some that are prepared."""
    if embedded.is_embedded(generator.model):
        return min(generator.concurrency, embedded.SLOTS // completions(generator) + embedded.WAITING)
    return generator.concurrency + math.ceil(WAITING * generator.concurrency)


def longest_answer(generator: GeneratorConfig, max_words: int) -> int:
    """``max_tokens`` of a call for texts of at most ``max_words`` words."""
    if generator.max_tokens is not None:
        return generator.max_tokens
    per_word = embedded.TOKENS_PER_WORD if embedded.is_embedded(generator.model) else LONGEST_ANSWER
    return (int(max_words * per_word) + TEXT_TOKENS) * generator.texts_per_call
