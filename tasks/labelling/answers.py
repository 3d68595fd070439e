"""Finds the option of a closed set that an LLM's answer names. The parser is lenient but does not guess.

An answer that names no option, or several, has no result.
"""

import json
import re
from collections.abc import Sequence

MOST_CHARACTERS = 100_000
"""Longest answer that is read; a longer one names no option."""
MARKS = " \t\r\n\"'`“”‘’«»*_()[]{}<>.,;:!"
"""Characters that may surround an option's name."""
LEAD = re.compile(
    r"^[\s*_\"'`]*(?:(?:the|my)\s+)?(?:(?:correct|best|final)\s+)?(?:answer|label|category|class|option|choice)\b"
    r"(?:\s+is\b)?[\s*_]*[:=]?",
    re.IGNORECASE,
)
NUMBER = re.compile(r"(?:no\.?\s*|#\s*)?(\d{1,3})(?:\s*[.):\-]+\s*|\s+|$)(.*)", re.DOTALL)


def listing(options: Sequence[str], meanings: Sequence[str]) -> str:
    """The options with their meanings, one on each line; numbered, unless an option is a number itself."""
    marks = [f"{i}." for i in range(1, len(options) + 1)] if _numbered(options) else ["-"] * len(options)
    return "\n".join(f"{mark} {name}: {text}" for mark, name, text in zip(marks, options, meanings, strict=True))


def grammar(options: Sequence[str]) -> str:
    """A GBNF grammar of exactly these answers, for llama.cpp."""
    return "root ::= " + " | ".join(json.dumps(option, ensure_ascii=False) for option in options)


def parse(text: str, options: Sequence[str]) -> str | None:
    """The option that an answer names; null if its first line names none, or if another line names another one.

    An answer may have the name in any case, in quotes or marks, with a full stop, after "Answer:" and similar words, or
    the option's number in the order of ``options``, alone or before its name.
    """
    if len(text) > MOST_CHARACTERS:
        return None
    said = [_of_line(line, options) for line in text.split("\n") if line.strip()]
    named = {option for option in said if option is not None}
    return said[0] if said and len(named) == 1 else None


def _of_line(line: str, options: Sequence[str]) -> str | None:
    for candidate in (line.strip(), LEAD.sub("", line, count=1).strip()):
        found = _by_name(candidate, options)
        if found is None:
            found = _by_number(_plain(candidate), options)
        if found is not None:
            return found
    return None


def _by_name(said: str, options: Sequence[str]) -> str | None:
    if said in options:
        return said
    found = [option for option in options if _plain(option) == _plain(said)]
    return found[0] if len(found) == 1 else None


def _by_number(said: str, options: Sequence[str]) -> str | None:
    match = NUMBER.fullmatch(said)
    if match is None or not _numbered(options) or not 1 <= int(match[1]) <= len(options):
        return None
    option = options[int(match[1]) - 1]
    return option if not match[2] or _by_name(match[2], options) == option else None


def _plain(text: str) -> str:
    bare = " ".join(text.casefold().split())
    return bare.strip(MARKS) or bare


def _numbered(options: Sequence[str]) -> bool:
    return not any(re.search(r"^\W*\d", option) for option in options)
