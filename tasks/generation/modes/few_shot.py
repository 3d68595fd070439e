"""The LLM imitates a few real texts of the pool, which are drawn again for every call.

As in Li et al. 2023 (arXiv 2310.07849). The examples are earlier turns of the conversation. An LLM of any size then
answers with a similar bare text. If one message lists all examples, a small LLM writes comments about them.
"""

import functools

from pydantic import Field

from tasks.config import Frozen
from tasks.config.parameters import spell
from tasks.errors import UserError
from tasks.generation.mode import Mode, PromptInputs, PromptTemplate, generated
from tasks.llm.calls import Message

NEXT = "Write another one."


class Parameters(Frozen):
    """What a study may change."""

    examples: int = Field(default=3, ge=1, le=100)
    """Real texts that each prompt shows; fewer if the pool has fewer of the label."""


def _instructions(inputs: PromptInputs) -> str:
    return (
        f"{inputs.task.context} Write one text at a time, at most {inputs.task.max_words} words. "
        "Imitate the earlier texts, but do not copy, rewrite or merely modify them."
    )


def _messages(examples: int, inputs: PromptInputs) -> list[Message]:
    if not inputs.examples:
        raise UserError(f"task {inputs.task.name!r}: the few-shot pool has no row of label {inputs.label!r}")
    shown = inputs.rng.sample(inputs.examples, min(examples, len(inputs.examples)))
    ask = f"Write {inputs.task.text} of this kind: {inputs.task.labels[inputs.label]}."
    messages = [{"role": "system", "content": _instructions(inputs)}]
    for example in shown:
        messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": example.text}]
        ask = NEXT
    if inputs.form.texts > 1:
        ask = f"Write {inputs.form.texts} others, each different. {inputs.form.instruction}"
    return [*messages, {"role": "user", "content": ask}]


def _make(parameters: Parameters) -> Mode:
    changed = parameters.model_dump(exclude_defaults=True)
    name, messages = spell("few_shot", changed), functools.partial(_messages, parameters.examples)
    return Mode(
        name=name,
        title=f"few-shot, {parameters.examples} examples" if changed else "few-shot",
        summary="an LLM imitates a few real examples, drawn anew for every text",
        rows=frozenset({"generated"}),
        select=generated,
        template=PromptTemplate(name, version=1, messages=messages, uses_pool=True),
        parameters=parameters,
        make=_make,
    )


MODE = _make(Parameters())
