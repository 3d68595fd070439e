"""Counts the tokens of a text, without a network and without importing litellm.

Tokens are counted with OpenAI's cl100k encoding, whose file is part of litellm's package; loading it takes half a
second. Other LLMs count differently, but this is only for estimates: if there are earlier calls, they are a better
basis, and the bill depends on the provider's count.
"""

import functools
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

ENCODING = "litellm_core_utils/tokenizers/9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""File of cl100k_base in litellm's package, under its name in tiktoken's cache."""
PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"""
    r"""|\s+(?!\S)|\s"""
)
"""How cl100k_base splits a text before it is encoded, as in tiktoken_ext.openai_public."""
CHARACTERS_PER_TOKEN = 4.0
"""Characters of a token of English text, 3.8 to 4.5 in common tokenizers; used if the encoding's file is missing."""

MESSAGE_TOKENS = 5
"""Tokens that a chat format usually adds to a message."""


def count_tokens(text: str) -> float:
    """Approximate number of tokens of a text."""
    return _counter()(text)


def count_messages(messages: Iterable[Mapping[str, str]]) -> int:
    """Approximate number of tokens of a prompt, those of the chat format included."""
    return round(sum(count_tokens(message["content"]) + MESSAGE_TOKENS for message in messages))


@functools.cache
def _counter() -> Callable[[str], float]:
    spec = importlib.util.find_spec("litellm")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / ENCODING).is_file():
            import tiktoken
            from tiktoken.load import load_tiktoken_bpe

            ranks = load_tiktoken_bpe(str(path))
            encoding = tiktoken.Encoding("cl100k", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
            return lambda text: float(len(encoding.encode_ordinary(text)))
    return lambda text: len(text) / CHARACTERS_PER_TOKEN
