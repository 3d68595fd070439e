"""The texts of a complete answer that litellm cannot parse. It is billed, so it is not asked for again."""

import json
from typing import Any

from tasks.llm.calls import Answer


def salvaged(body: bytes) -> tuple[tuple[Answer, ...], str] | None:
    """The answers in the body of a chat completion, and its model; null if the body is none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("error") or not isinstance(said.get("choices"), list):
        return None
    model = said.get("model")
    answers = tuple(map(_answer, said["choices"])) or (Answer("", "no_choice"),)
    return answers, model if isinstance(model, str) else ""


def _answer(choice: Any) -> Answer:
    fields = choice if isinstance(choice, dict) else {}
    message, finish = fields.get("message"), fields.get("finish_reason")
    content = message.get("content") if isinstance(message, dict) else None
    text = "".join(map(_text, content if isinstance(content, list) else [content]))
    return Answer(text, finish if isinstance(finish, str) else "unknown")


def _text(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""
