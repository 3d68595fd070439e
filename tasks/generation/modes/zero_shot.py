"""The LLM writes from a description alone: context prompt, generation prompt, then the diversity prompt.

As in Li et al. 2023 (arXiv 2310.07849). Conversations are short, because every turn sends and pays for all earlier ones
again, and a small model starts to repeat itself.
"""

from tasks.generation.mode import Mode, PromptInputs, PromptTemplate, generated
from tasks.llm.calls import Message


def _generation(inputs: PromptInputs) -> str:
    task, texts = inputs.task, inputs.form.texts
    style = f" Style: {task.style}." if task.style else ""
    several = f" Write {texts} of them, each different from the others." if texts > 1 else ""
    return (
        f"Write {task.text} that is an example of this kind: {task.labels[inputs.label]}.{style} "
        f"Use at most {task.max_words} words.{several} {inputs.form.instruction}"
    )


def _diversity(inputs: PromptInputs) -> str:
    more = "another one" if inputs.form.texts == 1 else f"{inputs.form.texts} others"
    return f"Write {more}, more diverse than those before. {inputs.form.instruction}"


def _messages(inputs: PromptInputs) -> list[Message]:
    messages = [{"role": "system", "content": inputs.task.context}, {"role": "user", "content": _generation(inputs)}]
    for text in inputs.earlier:
        messages.append({"role": "assistant", "content": text})
        messages.append({"role": "user", "content": _diversity(inputs)})
    return messages


TEMPLATE = PromptTemplate("zero_shot", version=2, messages=_messages, turns=3)
MODE = Mode(
    name="zero_shot",
    title="zero-shot",
    summary="an LLM writes from the task's description alone",
    rows=frozenset({"generated"}),
    select=generated,
    template=TEMPLATE,
)
