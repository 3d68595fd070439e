"""An interview: questions to one LLM with a common opening and a common set of options.

The opening (role, instructions, options, examples) is the same for all questions and comes first; the item comes last.
A prefix cache therefore reads the opening once. A journal belongs to one interview, and the key of a question is its
text: if questions are added, only the new ones are asked.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.config import GeneratorConfig
from tasks.labelling.answers import grammar
from tasks.llm import calls, embedded
from tasks.llm.calls import Message, Request
from tasks.records import content_key
from tasks.settings import Settings

VERSION = 1
"""Increase it when a change of the code changes the meaning of answers."""
EMBEDDED_IN_FLIGHT = 2
"""Calls of the embedded LLM at a time: each slot in use reads the opening separately (docs/LOG.md)."""
CHARACTERS_PER_WORD = 8
"""Most characters for each word allowed; also limits texts in a language without spaces."""


@dataclass(frozen=True)
class Interview:
    """All questions to one LLM with the same opening."""

    name: str
    """Name for people."""
    llm: GeneratorConfig
    """The LLM as the study lists it; ``generator`` has the settings that are used here."""
    opening: tuple[Message, ...]
    options: tuple[str, ...]
    """In the order in which the opening lists them."""
    questions: tuple[str, ...]
    """The last message of each call."""

    @cached_property
    def generator(self) -> GeneratorConfig:
        """The LLM with settings for the most likely answer; a grammar limits the embedded LLM to the options."""
        params = dict(self.llm.params)
        if embedded.is_embedded(self.llm.model):  # its defaults are for generating texts
            params |= {"grammar": grammar(self.options), "logit_bias": {}, "min_p": 0.0, "repeat_penalty": 1.0}
        fields = {"temperature": 0.0, "completions": 1, "texts_per_call": 1, "params": params}
        return self.llm.model_copy(update=fields)

    @property
    def max_tokens(self) -> int:
        """Longest answer: a token has at least a byte. A study may allow more, for LLMs that reason first."""
        return self.llm.max_tokens or max(len(option.encode()) for option in self.options) + 8

    @property
    def in_flight(self) -> int:
        """Most calls at a time."""
        most = EMBEDDED_IN_FLIGHT if embedded.is_embedded(self.llm.model) else self.llm.concurrency
        return min(self.llm.concurrency, most)

    @cached_property
    def key(self) -> str:
        """Key of the journal: everything that affects the calls except the question, and the server that is called."""
        return content_key(
            {
                "version": VERSION,
                "opening": self.opening,
                "options": self.options,
                "model": self.llm.model,
                "sampling": calls.sampling(self.generator),
                "max_tokens": self.max_tokens,
                **({"endpoint": server} if (server := self.llm.endpoint or self.llm.api_base) else {}),
            }
        )

    def journal(self, settings: Settings) -> Path:
        """The journal of its completed calls."""
        return settings.home / "journals" / f"{self.key}.jsonl"

    def request(self, question: str) -> Request:
        """The call that asks a question."""
        messages = (*self.opening, {"role": "user", "content": question})
        return Request(messages, self.generator, self.max_tokens, int(call_id(question)[:7], 16))


def call_id(question: str) -> str:
    """Key of a question in its journal."""
    return content_key(question)


def cut(text: str, words: int) -> str:
    """The first ``words`` words of a text, on one line."""
    whole = " ".join(text.split())
    short = " ".join(whole.split(" ")[:words])[: words * CHARACTERS_PER_WORD].rstrip()
    return whole if short == whole else f"{short} ..."
