"""The LLM imitates a few real texts of the pool, drawn anew for every text it writes.

As in Li et al. 2023 (arXiv 2310.07849). The examples stand as earlier turns of the conversation: an LLM of any size
then answers with a bare text like them, where a list of examples in one message makes a small one talk about them.
"""

from tasks.errors import UserError
from tasks.generation.mode import Mode, Turn, Writer, generated
from tasks.llm.calls import Message

EXAMPLES = 3
NEXT = "Write another one."


def _scene(turn: Turn) -> str:
    return (
        f"{turn.task.context} Write one text at a time, at most {turn.task.max_words} words. "
        "Imitate the earlier texts, but do not copy, rewrite or merely modify them."
    )


def _messages(turn: Turn) -> list[Message]:
    if not turn.examples:
        raise UserError(f"task {turn.task.name!r}: the few-shot pool has no row of label {turn.label!r}")
    shown = turn.rng.sample(turn.examples, min(EXAMPLES, len(turn.examples)))
    ask = f"Write {turn.task.text} of this kind: {turn.task.labels[turn.label]}."
    messages = [{"role": "system", "content": _scene(turn)}]
    for example in shown:
        messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": example.text}]
        ask = NEXT
    if turn.form.texts > 1:
        ask = f"Write {turn.form.texts} others, each different. {turn.form.instruction}"
    return [*messages, {"role": "user", "content": ask}]


WRITER = Writer("few_shot", version=1, messages=_messages, uses_pool=True)
MODE = Mode(
    name="few_shot",
    title="few-shot",
    summary="an LLM imitates a few real examples, drawn anew for every text",
    rows=frozenset({"generated"}),
    select=generated,
    writer=WRITER,
)
