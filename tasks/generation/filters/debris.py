"""Refusals and other LLM artefacts: talk about the text, echoes of the prompt, placeholders, chat tokens, loops."""

import re

from tasks.generation.filter import Check, Filter, FilterContext, normalise, quote
from tasks.llm.empty_answers import REFUSAL
from tasks.records import Row

TEXTS = r"(?:text|message|sms|example|headline|review|sentence|version|tweet|comment|data)s?"
CHATTER = re.compile(
    r"^(?:sure|certainly|absolutely|of course)\b.{0,60}\b(?:here|help|happy|glad)\b"
    rf"|^here(?:'s|’s| is| are) (?:an?|another|some|one|the|my|your)\b.{{0,60}}\b{TEXTS}\b"
    r"|^i(?:'ll|’ll| will) try\b.{0,20}\b(?:again|another|different|something)\b"
    r"|^i(?:'d|’d| would) be (?:happy|glad) to (?:help|assist|provide|write)\b"
    rf"|\b(?:original|previous(?:ly generated)?|generated|following|revised|rewritten) {TEXTS}\b"
    r"|\b(?:let me know if|i hope this helps|feel free to (?:modify|adjust|ask))\b",
    re.IGNORECASE | re.DOTALL,
)
TOKENS = re.compile(
    r"<\|?(?:im_start|im_end|endoftext|eot_id|assistant|user|system)\|?>|^(?:user|assistant|system)\s*[:\n]",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(
    r"\[(?:(?:your|insert|user|customer|recipient|company|sender|first|last|phone|link|date)\b[^\]]{0,40}"
    r"|name|number|url|location|city)\]",
    re.IGNORECASE,
)
LOOP = 4
"""Repetitions in a row of a phrase of up to eight words from which a text is rejected."""
ECHO = 6
"""Consecutive words of the prompt's description that count as an echo of the prompt."""


def _build(context: FilterContext) -> Check:
    task = context.task
    own = [normalise(part) for part in (task.context, task.style, *task.labels.values())]
    echoes = {" ".join(words[i : i + ECHO]) for words in map(str.split, own) for i in range(len(words) - ECHO + 1)}

    def check(row: Row) -> str | None:
        for name, pattern in (
            ("refusal", REFUSAL),
            ("chatter", CHATTER),
            ("token", TOKENS),
            ("placeholder", PLACEHOLDER),
        ):
            if found := pattern.search(row.text):
                return f"{name}: {quote(found[0])}"
        words = normalise(row.text).split()
        return _loop(words) or _echo(words, echoes)

    return check


def _loop(words: list[str]) -> str | None:
    for size in range(1, 9):
        same = 0
        for i in range(size, len(words)):
            same = same + 1 if words[i] == words[i - size] else 0
            if same >= size * (LOOP - 1):
                return f"loop: {quote(' '.join(words[i - size + 1 : i + 1]))}"
    return None


def _echo(words: list[str], echoes: set[str]) -> str | None:
    for i in range(len(words) - ECHO + 1):
        if (phrase := " ".join(words[i : i + ECHO])) in echoes:
            return f"echo of the prompt: {quote(phrase)}"
    return None


FILTER = Filter("debris", version=2, step="valid", build=_build)
