"""The text in an LLM's answer, without the comments and marks that the model adds around it.

Only wrapping is removed; the text itself is not changed. Parsing a parsed text returns it unchanged. An answer may be
hostile, so the time is bounded and proportional to its length: every pattern is linear, and the length of a text and
the number of its wrappers are limited.
"""

import re

MOST_CHARACTERS = 100_000
"""Longest text that is parsed: about 16,000 words of English."""
MOST_WRAPPERS = 30
"""How often wrapping is removed from one text; ordinary answers have only a few wrappers."""

QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`", "„": "“"}
FENCE = re.compile(r"^```[\w-]*\n(.*?)(?:\n?```.*)?$", re.DOTALL)
THOUGHT = re.compile(r"^<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
PREAMBLE = re.compile(
    r"^(?:(?:sure|certainly|of course|absolutely|okay|ok|great)\b[^\n:]{0,80}[:!.]\s*+)?"
    r"(?:here(?:'s|’s| is| are)\b[^\n:]{0,160}:\s*)",
    re.IGNORECASE,
)
AGREEMENT = re.compile(r"^(?:sure|certainly|of course|absolutely)[^\n:]{0,80}[:!.][ \t]*+\n\s*", re.IGNORECASE)
NUMBER = re.compile(r"^(?:\d{1,2}[.)]|[-*•])\s+(?=\S)")
KINDS = "text(?: message)?|message|sms|headline|news headline|title|review|tweet|comment|sentence|example|subject"
LABEL = re.compile(
    rf"^(?:\*\*|__)?(?:new |short )?(?:{KINDS}|output|answer|response)(?: \d{{1,2}})?"
    r"(?:\*\*|__)?:(?:\*\*|__)?\s+(?=\S)",
    re.IGNORECASE,
)
BOLD = re.compile(r"^(\*\*|__)(?=\S)([^*_]+)(?<=\S)\1$")
SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)]*+(?=\s|$)")


class UnreadableError(ValueError):
    """An answer that cannot be parsed; the message says why."""


def parse(answer: str, labels: tuple[str, ...] = (), cut: bool = False) -> str:
    """The bare text in an answer; empty if there is none.

    ``labels`` are the task's label names; one with a colon before the text is removed. From a ``cut`` answer (ended by
    the token limit) the unfinished last line or sentence is removed. Raises ``UnreadableError``.
    """
    if len(answer) > MOST_CHARACTERS:
        raise UnreadableError(f"{len(answer):,} characters, over {MOST_CHARACTERS:,}")
    text = answer.strip()
    if cut:
        text = _whole(text)
    for _ in range(MOST_WRAPPERS):
        if (bare := _unwrap(text, labels)) == text:
            return text
        text = bare
    raise UnreadableError(f"over {MOST_WRAPPERS} wrappers around a text")


def _unwrap(text: str, labels: tuple[str, ...]) -> str:
    text = THOUGHT.sub("", text).strip()
    if fence := FENCE.match(text):
        text = fence[1].strip()
    if bold := BOLD.match(text):  # first, because LABEL would remove only the opening marks
        text = bold[2]
    for prefix in (PREAMBLE, AGREEMENT, LABEL, NUMBER):
        text = prefix.sub("", text, count=1).strip()
    text = _without_label(text, labels)
    return _unquote(text)


def _without_label(text: str, labels: tuple[str, ...]) -> str:
    head, _, rest = text.partition(":")
    rest = rest.strip()
    if head.startswith("**"):  # the marks belong to the label; the text may have its own pair
        rest = rest.removeprefix("**").strip()
    return rest if rest and _plain(head) in {_plain(label) for label in labels} else text


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label.strip(" *#")).lower()


def _unquote(text: str) -> str:
    """The text without quotes around all of it; quotes around a part stay."""
    if len(text) < 2 or QUOTES.get(text[0]) != text[-1]:
        return text
    inner = text[1:-1]
    if text[0] == "'" and re.search(r"\w'\s|\s'\w", inner):
        return text
    if text[0] != "'" and (text[0] in inner or text[-1] in inner):
        return text
    return inner.strip()


def _whole(text: str) -> str:
    """A cut-off text up to its last finished line or sentence; empty if it has none."""
    ends = [match.end() for match in SENTENCE_END.finditer(text) if match.end() < len(text)]
    if text.count("\n") and (line := text.rfind("\n")) > 0:
        ends.append(line)
    return text[: max(ends)].rstrip() if ends else ""
