"""The LLM writes from a description alone: context prompt, generation prompt, then the diversity prompt.

As in Li et al. 2023 (arXiv 2310.07849). A conversation is short, because every turn pays for all earlier ones again
and a small model starts to repeat itself.
"""

from tasks.generation.mode import Mode, Turn, Writer, generated
from tasks.llm.calls import Message


def _generation(turn: Turn) -> str:
    task, texts = turn.task, turn.form.texts
    style = f" Style: {task.style}." if task.style else ""
    several = f" Write {texts} of them, each different from the others." if texts > 1 else ""
    return (
        f"Write {task.text} that is an example of this kind: {task.labels[turn.label]}.{style} "
        f"Use at most {task.max_words} words.{several} {turn.form.instruction}"
    )


def _diversity(turn: Turn) -> str:
    more = "another one" if turn.form.texts == 1 else f"{turn.form.texts} others"
    return f"Write {more}, more diverse than those before. {turn.form.instruction}"


def _messages(turn: Turn) -> list[Message]:
    messages = [{"role": "system", "content": turn.task.context}, {"role": "user", "content": _generation(turn)}]
    for text in turn.earlier:
        messages.append({"role": "assistant", "content": text})
        messages.append({"role": "user", "content": _diversity(turn)})
    return messages


WRITER = Writer("zero_shot", version=2, messages=_messages, turns=3)
MODE = Mode(
    name="zero_shot",
    title="zero-shot",
    summary="an LLM writes from the task's description alone",
    rows=frozenset({"generated"}),
    select=generated,
    writer=WRITER,
)
