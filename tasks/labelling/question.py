"""An interview that labels texts of a task: with or without a role, with or without labelled examples."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.config import GeneratorConfig, TaskConfig
from tasks.data.split import by_label, ranked
from tasks.errors import UserError
from tasks.labelling.answers import listing
from tasks.labelling.interview import Interview, cut
from tasks.llm.calls import Message
from tasks.records import Example, TaskData, content_key, readable

ITEM_WORDS = 150
"""Most words of a text that is labelled; the rest is cut off."""
EXAMPLE_WORDS, ALL_EXAMPLES_WORDS = 40, 400
"""Most words of an example, and of all examples together: a slot of the embedded LLM has 2,048 tokens."""
SHOTS, MOST_EXAMPLES = 3, 12
"""Most examples of each label, and of all labels together; each label has at least one."""


@dataclass(frozen=True)
class Role:
    """An LLM in a role: an annotator or a judge."""

    llm: GeneratorConfig
    persona: str

    @property
    def name(self) -> str:
        """Name of the rater or judge in records."""
        return readable(self.llm.model, self.persona)


def roles(llms: Sequence[GeneratorConfig], personas: Sequence[str]) -> tuple[Role, ...]:
    """Every LLM in the role of every persona. Raises ``UserError`` if two have the same name."""
    found = [Role(llm, persona) for llm in llms for persona in personas]
    for what, names in (("model", [llm.model for llm in llms]), ("persona", list(personas))):
        if repeated := [name for name in names if names.count(name) > 1]:
            raise UserError(f"subjectivity: {what} {repeated[0]!r} is listed twice, its answers would count double")
    return tuple(found)


def examples(data: TaskData) -> tuple[Example, ...]:
    """The rows of the pool that prompts show, the same for all texts, in an order that mixes the labels.

    Raises ``UserError`` if the pool has no row of a label.
    """
    labels = list(data.task.labels)
    groups = by_label(data.pool)
    if lacking := [label for label in labels if not groups.get(label)]:
        raise UserError(f"task {data.task.name!r}: the few-shot pool has no row of label {lacking[0]!r}")
    each = max(1, min(SHOTS, MOST_EXAMPLES // len(labels)))
    chosen = [row for label in labels for row in ranked(groups[label], "shown")[:each]]
    return tuple(ranked(chosen, "shown in this order"))


def labelling(
    task: TaskConfig,
    llm: GeneratorConfig,
    rows: Sequence[Example],
    name: str,
    persona: str = "",
    shown: Sequence[Example] = (),
) -> Interview:
    """An interview that asks for the label of each row.

    Each persona sees the labels in another order, to reduce a bias for the first one; without a persona, the order is
    that of the task.
    """
    options = list(task.labels)
    if persona:
        random.Random(content_key([task.name, llm.model, persona])).shuffle(options)
    opening: list[Message] = [{"role": "system", "content": _instructions(task, options, persona)}]
    words = min(EXAMPLE_WORDS, ALL_EXAMPLES_WORDS // max(1, len(shown)))
    for example in shown:
        opening.append({"role": "user", "content": _question(example, words)})
        opening.append({"role": "assistant", "content": example.label})
    return Interview(name, llm, tuple(opening), tuple(options), tuple(_question(row, ITEM_WORDS) for row in rows))


def _instructions(task: TaskConfig, options: Sequence[str], persona: str) -> str:
    lines = (
        f"{persona} You are shown {task.text} and say which label it has. {task.title}".strip(),
        "The labels are:",
        listing(options, [task.labels[option] for option in options]),
        "Answer with the name of one label and nothing else.",
    )
    return "\n".join(lines)


def _question(row: Example, words: int) -> str:
    return f"Text: {cut(row.text, words)}"
